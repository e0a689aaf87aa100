"""Every encoder. To add one: write its file, add its line. The class says its modality."""

from plait.spec import Table

ENCODERS = Table(
    "encoder",
    {
        "text_transformer": "plait.encoders.text_transformer:TextTransformer",
        "text_recurrent": "plait.encoders.text_recurrent:TextRecurrent",
        "image_resnet": "plait.encoders.image_resnet:ImageResNet",
        "image_vit": "plait.encoders.image_vit:ImageViT",
        "audio_cnn": "plait.encoders.audio_cnn:AudioCNN",
        "audio_recurrent": "plait.encoders.audio_recurrent:AudioRecurrent",
        "video_recurrent": "plait.encoders.video_recurrent:VideoRecurrent",
        "video_cnn3d": "plait.encoders.video_cnn3d:VideoCNN3d",
        "number_linear": "plait.encoders.number_linear:NumberLinear",
        "number_periodic": "plait.encoders.number_periodic:NumberPeriodic",
        "number_piecewise": "plait.encoders.number_piecewise:NumberPiecewise",
        "date_cyclic": "plait.encoders.date_cyclic:DateCyclic",
        "image_set": "plait.encoders.image_set:ImageSet",
        "text_set": "plait.encoders.text_set:TextSet",
        "category_embedding": "plait.encoders.category_embedding:CategoryEmbedding",
        "labels_embedding": "plait.encoders.labels_embedding:LabelsEmbedding",
        "series_rocket": "plait.encoders.series_rocket:SeriesRocket",
        "series_conv": "plait.encoders.series_conv:SeriesConv",
        "series_recurrent": "plait.encoders.series_recurrent:SeriesRecurrent",
        "series_patch": "plait.encoders.series_patch:SeriesPatch",
    },
)

DEFAULTS = {
    "text": "text_transformer",
    "image": "image_resnet",
    "audio": "audio_cnn",
    "video": "video_cnn3d",
    "number": "number_periodic",
    "date": "date_cyclic",
    "images": "image_set",
    "texts": "text_set",
    "category": "category_embedding",
    "labels": "labels_embedding",
    "series": "series_rocket",
}
