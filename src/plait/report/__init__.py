def report_page(p,t,r): return ""
def report_json(p,r): return {}
def model_card(p,r): return ""
