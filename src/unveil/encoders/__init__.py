"""One file an encoder family, and the one table of them."""

TABLE = {
    "transformer": "unveil.encoders.transformer:Transformer",
    "conv": "unveil.encoders.conv:ConvNet",
    "pretrained": "unveil.encoders.pretrained:Pretrained",
}
