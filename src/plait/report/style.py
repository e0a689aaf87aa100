"""How the page looks: calm, light and dark, on a phone and on paper. No font, picture or script from outside."""

_NAMES = """
--font:system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans","PingFang SC","Microsoft YaHei","Noto Sans CJK SC",
 sans-serif;
--k0:#4e7fc0;--k1:#e08a2e;--k2:#d9565a;--k3:#4fa79f;--k4:#5aa352;--k5:#c2a024;--k6:#a873a8;--k7:#dd7aa0;
 --k8:#9a7560;--k9:#828b96;
"""
_LIGHT = """
--paper:#f7f7f5;--card:#fff;--ink:#1c2430;--soft:#5c6775;--line:#e2e5e9;--accent:#2c66cf;--accent-rgb:44 102 207;
--warm:#c9571c;--warm-rgb:222 104 40;--good:#14784a;--shade:0 1px 2px rgb(20 30 50/.05),0 4px 16px rgb(20 30 50/.04);
"""
_DARK = """
--paper:#13161a;--card:#1a1e24;--ink:#e6e9ee;--soft:#9ba6b4;--line:#2d343d;--accent:#74a5ff;--accent-rgb:92 146 255;
--warm:#ff9d63;--warm-rgb:240 130 66;--good:#5fcf98;--shade:none;
"""
_FRAME = """
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%;scroll-behavior:smooth}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.55 var(--font)}
main,header,footer{max-width:1080px;margin:0 auto;padding:0 24px}
header{padding-top:48px}
h1{font-size:clamp(1.6rem,4.2vw,2.3rem);line-height:1.2;margin:0 0 10px;letter-spacing:-.015em;font-weight:650}
h1 em{font-style:normal;color:var(--accent)}
h2{font-size:1.45rem;margin:56px 0 6px;letter-spacing:-.01em;font-weight:650}
h4{font-size:.84rem;margin:4px 0 6px;color:var(--soft);font-weight:500}
h3{font-size:1.05rem;margin:36px 0 4px;font-weight:650}
h3+.card,h3+.pair{margin-top:12px}
h1,h2,h3,p,li,q,.chip,summary{overflow-wrap:anywhere}
td,th{overflow-wrap:break-word}
p{margin:6px 0 12px;max-width:70ch;text-wrap:pretty}
.card>:last-child{margin-bottom:0}
.card>:first-child,.card>.scroll:first-child{margin-top:0}
.beside{display:flex;flex-wrap:wrap;gap:8px 40px;align-items:flex-start}
.beside>*{min-width:0;max-width:100%}
.mixed{list-style:none;margin:0;padding:0;font-size:.9rem}
.mixed li{margin:6px 0}
.mixed b{display:inline-block;min-width:2.6em;font-variant-numeric:tabular-nums}
.soft,.note{color:var(--soft)}
.note{font-size:.875rem}
nav{display:flex;flex-wrap:wrap;gap:4px 18px;margin:18px 0 0;padding:10px 0;border-top:1px solid var(--line);
 border-bottom:1px solid var(--line);font-size:.9rem}
a{color:var(--accent);text-decoration:none}
a:hover{text-decoration:underline}
.card{background:var(--card);border:1px solid var(--line);border-radius:14px;padding:20px 22px;
 box-shadow:var(--shade);min-width:0}
.facts{display:flex;flex-wrap:wrap;gap:4px 20px;margin:0;padding:0;list-style:none;color:var(--soft);font-size:.92rem}
.pair{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,380px),1fr));gap:20px;margin:14px 0}
.heads{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,400px),1fr));gap:20px;margin:26px 0 0}
.heads p{margin:14px 0 0}
.big{font-size:3.1rem;line-height:1.05;font-weight:680;letter-spacing:-.03em;font-variant-numeric:tabular-nums}
.big small{font-size:1rem;font-weight:400;letter-spacing:0;color:var(--soft);margin-left:8px}
.kind{font-size:.8rem;color:var(--soft);text-transform:none}
.versus{display:flex;justify-content:space-between;align-items:end;gap:16px;flex-wrap:wrap;margin:6px 0 12px}
.versus .than{text-align:right;color:var(--soft);font-size:.9rem;line-height:1.3}
.versus .than b{display:block;font-size:1.5rem;font-weight:600;color:var(--ink)}
footer{margin-top:64px;padding-top:18px;padding-bottom:40px;color:var(--soft);font-size:.85rem}
footer::before{content:"";display:block;border-top:1px solid var(--line);margin-bottom:18px}
"""
_PARTS = """
.scroll{overflow-x:auto;margin:10px 0}
table{border-collapse:collapse;font-size:.9rem;width:100%;font-variant-numeric:tabular-nums}
th,td{text-align:start;padding:6px 12px 6px 0;border-bottom:1px solid var(--line);vertical-align:top}
thead th{color:var(--soft);font-weight:500;font-size:.82rem;white-space:nowrap;vertical-align:bottom}
tbody th{font-weight:500}
tbody tr:last-child>*{border-bottom:0}
.n{text-align:right;white-space:nowrap}
td.n:last-child,th.n:last-child{padding-right:0}
.wide tbody th{min-width:8em}
bdi,code{overflow-wrap:anywhere}
tbody th bdi{overflow-wrap:break-word}
.main th,.main td{font-weight:650}
bdi{unicode-bidi:isolate}
.chip{display:inline-block;background:rgb(var(--accent-rgb)/.1);border-radius:6px;padding:0 7px;
 margin:1px 4px 1px 0;max-width:100%}
.none,.bad{color:var(--soft);font-style:italic}
.bad{color:var(--warm)}
.ranges{display:grid;grid-template-columns:minmax(110px,auto) minmax(90px,1fr) auto;gap:0 16px;align-items:center;
 font-size:.9rem;
 margin:12px 0}
.ranges{grid-auto-flow:row dense}
.ranges>.label{grid-column:1;max-width:300px;padding:4px 0;line-height:1.5;overflow-wrap:anywhere}
.ranges>.track,.ranges>.bar,.ranges>.ticks{grid-column:2}
.ranges>.value{grid-column:3;text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}
.ranges>.value small{color:var(--soft);font-size:.82rem}
.track{position:relative;align-self:stretch;min-height:30px;background-image:linear-gradient(var(--line),var(--line)),
 linear-gradient(var(--line),var(--line)),linear-gradient(var(--line),var(--line)),linear-gradient(var(--line),
 var(--line)),
 linear-gradient(var(--line),var(--line));background-size:1px 100%;background-repeat:no-repeat;
 background-position:0 0,25% 0,50% 0,75% 0,100% 0}
.track i{position:absolute;top:50%}
.track .span{height:6px;margin-top:-3px;border-radius:3px;background:rgb(var(--accent-rgb)/.32)}
.track .dot{width:12px;height:12px;margin:-6px 0 0 -6px;border-radius:50%;background:var(--accent);
 box-shadow:0 0 0 2px var(--card)}
.track .prior{top:0;height:100%;border-left:2px dashed var(--warm);opacity:.75;margin-left:-1px}
.track.none .dot{background:var(--warm)}.track.none .span{background:rgb(var(--warm-rgb)/.3)}
.ticks{position:relative;height:20px;color:var(--soft);font-size:.76rem}
.ticks span{position:absolute;transform:translateX(-50%);white-space:nowrap}
.ticks span:first-child{transform:none}.ticks span:last-child{transform:translateX(-100%)}
.bar{position:relative;height:12px;border-radius:4px;background:rgb(var(--accent-rgb)/.09);min-width:60px}
.bar i{position:absolute;inset:0 auto 0 0;border-radius:4px;background:var(--accent)}
.bar i.minus{background:var(--warm)}
.slim{display:inline-block;width:54px;height:8px;margin-left:8px;vertical-align:baseline}
figure{margin:0}
figcaption{font-size:.95rem;font-weight:600;margin-bottom:8px}
figcaption small{display:block;font-weight:400;color:var(--soft);font-size:.84rem}
svg.plot{display:block;width:100%;height:auto;max-width:520px;margin:0 auto;overflow:visible}
svg.plot text{font-family:var(--font)}
.roc>div{display:flex;flex-wrap:wrap;gap:12px 32px;align-items:center}
.roc svg.plot{flex:1 1 340px}
.legend{flex:1 1 300px;min-width:0;list-style:none;margin:0;padding:0;display:grid;
 grid-template-columns:repeat(auto-fill,minmax(min(100%,170px),1fr));
 gap:1px 18px;font-size:.85rem}
.legend li{display:flex;gap:8px;align-items:center;min-width:0;border-radius:5px}
.legend li:hover{background:rgb(var(--accent-rgb)/.1)}
.legend li>svg{width:22px;height:8px;flex:none}
.legend bdi{overflow:hidden;text-overflow:ellipsis;white-space:nowrap;flex:1}
.legend span{color:var(--soft);font-variant-numeric:tabular-nums}
.legend.strokes{grid-template-columns:repeat(auto-fill,minmax(min(100%,250px),1fr));margin-bottom:14px}
.legend.strokes i{flex:none;width:22px;height:0;border-radius:0;border-top:2px solid currentColor}
.legend.strokes i.dashes{border-top-style:dashed}
.strokes li bdi{flex:0 1 auto}
.panels{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,230px),1fr));gap:18px 22px}
.panels figcaption{font-size:.86rem;margin:0 0 4px;overflow:hidden;text-overflow:ellipsis;white-space:nowrap}
.matrix{border-collapse:separate;border-spacing:2px;width:auto;font-size:.85rem}
.matrix th,.matrix td{border:0;padding:4px 6px}
.matrix thead th{vertical-align:bottom;text-align:center;padding:4px 2px}
.matrix thead bdi{writing-mode:vertical-rl;max-height:130px;overflow:hidden;text-overflow:ellipsis;
 display:inline-block;white-space:nowrap}
.matrix tbody th{white-space:nowrap;text-align:right;max-width:190px;overflow:hidden;text-overflow:ellipsis;
 position:sticky;left:0;
 background:var(--card);font-weight:400}
.matrix td{text-align:center;min-width:36px;height:32px;border-radius:5px;vertical-align:middle;
 background:rgb(var(--warm-rgb)/var(--a,0))}
.matrix td.hit{background:rgb(var(--accent-rgb)/var(--a,0))}
.matrix td.zero{color:transparent;background:rgb(128 138 150/.07)}
.matrix td.deep{color:#fff}
.matrix.small td{min-width:22px;height:22px;padding:1px 2px;font-size:.72rem}
.wrong{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,300px),1fr));gap:16px;margin:14px 0}
.wrong .card{padding:16px 18px;font-size:.9rem}
.verdict{display:grid;grid-template-columns:auto 1fr auto;gap:2px 10px;margin-bottom:10px;padding-bottom:10px;
 border-bottom:1px solid var(--line)}
.verdict .k{color:var(--soft)}
.verdict .v{font-weight:600;min-width:0;overflow-wrap:anywhere}
.verdict .p{color:var(--soft);font-variant-numeric:tabular-nums;text-align:right}
.verdict .true{color:var(--good)}
.verdict .false{color:var(--warm)}
.cell{margin:8px 0}
.cell>.k{display:block;color:var(--soft);font-size:.78rem;line-height:1.3}
.cell img{display:block;max-width:160px;max-height:160px;border-radius:8px;background:#fff;margin-top:3px}
.cell .clip img{max-width:100%}
.cell audio{display:block;width:100%;height:36px;margin-top:3px}
.cell q{quotes:none;display:block;unicode-bidi:plaintext}
.row{font-size:.78rem;color:var(--soft);margin-bottom:6px}
.parts{display:flex;height:30px;border-radius:8px;overflow:hidden;margin:12px 0 6px;gap:2px}
.parts i{min-width:3px;background:rgb(var(--accent-rgb)/.75)}
.parts i:nth-child(2){background:rgb(var(--accent-rgb)/.45)}
.parts i:nth-child(3){background:rgb(var(--warm-rgb)/.75)}
.keys{display:flex;flex-wrap:wrap;gap:2px 20px;font-size:.88rem;color:var(--soft)}
.keys b{display:inline-block;width:10px;height:10px;border-radius:3px;margin-right:7px;
 background:rgb(var(--accent-rgb)/.75)}
.keys span:nth-child(2) b{background:rgb(var(--accent-rgb)/.45)}
.keys span:nth-child(3) b{background:rgb(var(--warm-rgb)/.75)}
details{margin:12px 0}
summary{cursor:pointer;color:var(--accent);font-size:.93rem}
ul.plain{padding-left:1.1em;margin:8px 0;max-width:76ch}
ul.plain li{margin:5px 0}
code{font:.9em ui-monospace,"SF Mono",Menlo,Consolas,monospace;background:rgb(var(--accent-rgb)/.08);
 border-radius:5px;padding:1px 5px;
 overflow-wrap:anywhere}
"""
_NARROW = """
@media (max-width:640px){
main,header,footer{padding-left:16px;padding-right:16px}
header{padding-top:28px}
.card{padding:16px}
.big{font-size:2.5rem}
.ranges{grid-template-columns:1fr auto;gap:0 12px}
.ranges>.label{max-width:none;padding:8px 0 0}
.ranges>.value{grid-column:2;padding-top:8px}
.ranges>.track,.ranges>.bar,.ranges>.ticks{grid-column:1/-1}
.panels{display:flex;overflow-x:auto;gap:16px}
.panels figure{flex:0 0 225px}
thead th,thead th.n{white-space:normal}
.figures th:last-child,.figures td:last-child,.slim{display:none}
th,td{padding-right:9px}
.wide tbody th{min-width:5.5em}
}
@media print{
body{font-size:11pt;background:#fff}
nav,audio{display:none!important}
header{padding-top:0}
.card{box-shadow:none;break-inside:avoid}
h2,h3{break-after:avoid}
.scroll{overflow:visible}
tr,.legend li{break-inside:avoid}
*{print-color-adjust:exact;-webkit-print-color-adjust:exact}
details::details-content{content-visibility:visible;height:auto}
}
"""


def stylesheet() -> str:
    """The page's CSS."""
    dark = f"@media screen and (prefers-color-scheme:dark){{:root{{{_DARK}}}}}"
    parts = (f":root{{color-scheme:light dark;{_NAMES}{_LIGHT}}}", dark, _FRAME, _PARTS, _hover(), _NARROW)
    return "\n".join(line.strip("\n") for line in parts)


def _hover() -> str:
    """Pointing at a name of a legend brings its curve to the front."""
    rules = ['.roc:has(.legend li:hover) [id*="-curve"] path{opacity:.15}']
    rules += [
        f'.roc:has(.legend li:nth-child({i + 1}):hover) [id$="-curve{i}"] path{{opacity:1;stroke-width:3!important}}'
        for i in range(40)
    ]
    return "\n".join(rules)
