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
        "number_linear": "plait.encoders.number_linear:NumberLinear",
        "number_periodic": "plait.encoders.number_periodic:NumberPeriodic",
        "number_piecewise": "plait.encoders.number_piecewise:NumberPiecewise",
        "category_embedding": "plait.encoders.category_embedding:CategoryEmbedding",
        "labels_embedding": "plait.encoders.labels_embedding:LabelsEmbedding",
    },
)

DEFAULTS = {
    "text": "text_transformer",
    "image": "image_resnet",
    "audio": "audio_cnn",
    "number": "number_periodic",
    "category": "category_embedding",
    "labels": "labels_embedding",
}
