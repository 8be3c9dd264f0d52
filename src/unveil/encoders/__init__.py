"""One file an encoder family, and the one table of them."""

TABLE = {
    "transformer": "unveil.encoders.transformer:Transformer",
    "montage": "unveil.encoders.montage:Montage",
    "tubelets": "unveil.encoders.tubelets:Tubelets",
    "gin": "unveil.encoders.gin:GIN",
    "gcn": "unveil.encoders.gin:GCN",
    "gat": "unveil.encoders.gin:GAT",
    "hierarchical": "unveil.encoders.hierarchical:HierarchicalNet",
    "equivariant": "unveil.encoders.equivariant:Equivariant",
    "painn": "unveil.encoders.painn:PaiNN",
    "conv": "unveil.encoders.conv:ConvNet",
    "flex": "unveil.encoders.flex:Flex",
    "movement": "unveil.encoders.movement:Movement",
    "channelwise": "unveil.encoders.channelwise:Channelwise",
    "dilated": "unveil.encoders.dilated:Dilated",
    "limu": "unveil.encoders.limu:LIMU",
    "pretrained": "unveil.encoders.pretrained:Pretrained",
}
