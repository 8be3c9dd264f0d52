"""The peers' steps, made of their own modules, losses and teachers as their documentation shows; see :mod:`contenders`."""

from __future__ import annotations

import copy

import torch
from contenders import (
    DECODER,
    HIDDEN,
    LOCAL_VIEWS,
    PREDICTOR,
    PROJECTION,
    SLICES,
    TOTAL,
    Peer,
    PlainLeJEPA,
    Setting,
    follow,
    momentum,
)
from lightly.loss import LeJEPALoss, NTXentLoss
from lightly.models import utils
from lightly.models.modules import (
    IJEPAPredictorTIMM,
    LeJEPAProjectionHead,
    MaskedVisionTransformerDecoderTIMM,
    MaskedVisionTransformerTIMM,
    SimCLRProjectionHead,
)
from stable_pretraining import methods as spt
from stable_pretraining.backbone.patch_masking import IJEPAMaskOutput, MaskingOutput
from torch import nn
from torch.nn import functional as F


class LightlyMAE(Peer):
    """Masked autoencoder of lightly."""

    def __init__(self, setting: Setting, precision: str):
        super().__init__(setting, precision)
        vit = setting.transformer()
        self.backbone = MaskedVisionTransformerTIMM(vit=vit)
        self.enter = nn.Linear(setting.width, DECODER["width"])
        self.decoder = MaskedVisionTransformerDecoderTIMM(num_patches=vit.patch_embed.num_patches, embed_dim=DECODER["width"],
                                                          depth=DECODER["depth"], num_heads=DECODER["heads"], num_prefix_tokens=0)
        self.leave = nn.Linear(DECODER["width"], 3 * setting.patch**2)
        self.ready(self.backbone, self.enter, self.decoder, self.leave)

    def loss(self, index: int) -> torch.Tensor:
        images, masks = self.setting.images(index), self.setting.masks("mae", index)
        keep, hide = masks.context, masks.targets[:, 0]
        seen = self.enter(self.backbone.encode(images=images, idx_keep=keep))
        whole = utils.set_at_index(seen.new_zeros(len(images), self.decoder.sequence_length, seen.shape[-1]), keep, seen)
        answer = self.leave(utils.get_at_index(self.decoder(whole, idx_mask=hide), hide))
        goal = utils.get_at_index(utils.patchify(images, self.setting.patch), hide)
        return F.mse_loss(answer.float(), goal)


class LightlyIJEPA(Peer):
    """I-JEPA of lightly."""

    def __init__(self, setting: Setting, precision: str):
        super().__init__(setting, precision)
        self.student = MaskedVisionTransformerTIMM(vit=setting.transformer())
        self.teacher = copy.deepcopy(self.student).requires_grad_(False)
        self.predictor = IJEPAPredictorTIMM(num_patches=setting.grid[0] * setting.grid[1], depth=PREDICTOR["depth"], mlp_dim=setting.width,
                                            predictor_embed_dim=PREDICTOR["width"], num_heads=PREDICTOR["heads"])
        self.ready(self.student, self.predictor)

    def loss(self, index: int) -> torch.Tensor:
        images, masks = self.setting.images(index), self.setting.masks("i-jepa", index)
        targets = list(masks.targets.unbind(1))
        with torch.no_grad():
            goal = self.teacher.encode(images=images)
            goal = utils.apply_masks(F.layer_norm(goal, goal.shape[-1:]), targets)
        seen = self.student.encode(images=images, idx_keep=masks.context)
        return F.smooth_l1_loss(self.predictor(seen, [masks.context], targets).float(), goal.float())

    def follow(self, index: int) -> None:
        follow(self.teacher, self.student, momentum(index))


class LightlySimCLR(Peer):
    """SimCLR of lightly."""

    def __init__(self, setting: Setting, precision: str):
        super().__init__(setting, precision)
        self.vit, self.head = setting.transformer(), SimCLRProjectionHead(setting.width, HIDDEN, PROJECTION)
        self.criterion = NTXentLoss(temperature=0.1)
        self.ready(self.vit, self.head)

    def loss(self, index: int) -> torch.Tensor:
        images = self.setting.images(index)
        return self.criterion(*(self.head(self.vit(view)) for view in (images, images.clone())))


class LightlyLeJEPA(PlainLeJEPA):
    """LeJEPA of lightly."""

    def __init__(self, setting: Setting, precision: str):
        super().__init__(setting, precision)
        self.head, self.criterion = LeJEPAProjectionHead(setting.width, HIDDEN, PROJECTION), LeJEPALoss(sigreg_num_vectors=SLICES)
        self.ready(self.vit, self.head)

    def loss(self, index: int) -> torch.Tensor:
        large, small = self.views(index)
        project = lambda views, count: torch.stack([self.head(self.vit(view)) for view in views.chunk(count)])
        return self.criterion(global_proj=project(large, 2), local_proj=project(small, LOCAL_VIEWS))


class GivenMAE(nn.Module):
    """Hands a masked encoder the masks of this step."""

    def __init__(self, peer: Peer):
        super().__init__()
        self.peer = [peer]

    def forward(self, x: torch.Tensor, *grid) -> MaskingOutput:
        masks = self.peer[0].setting.masks("mae", self.peer[0].index)
        order = torch.cat([masks.context, masks.targets[:, 0]], 1)
        mask = torch.zeros(x.shape[:2]).scatter(1, masks.targets[:, 0], 1.0)
        visible = x.gather(1, masks.context[..., None].expand(-1, -1, x.shape[-1]))
        return MaskingOutput(visible=visible, mask=mask, ids_restore=order.argsort(1), ids_keep=masks.context)


class StableMAE(Peer):
    """Masked autoencoder of stable-pretraining. Its decoder answers for all tokens; its loss counts hidden ones."""

    def __init__(self, setting: Setting, precision: str):
        super().__init__(setting, precision)
        self.method = spt.MAE(setting.transformer(), decoder_embed_dim=DECODER["width"], decoder_depth=DECODER["depth"],
                              decoder_num_heads=DECODER["heads"], masking=GivenMAE(self))
        self.ready(self.method)

    def loss(self, index: int) -> torch.Tensor:
        self.index = index
        return self.method(self.setting.images(index)).loss


class GivenIJEPA(nn.Module):
    """Hands I-JEPA the masks of this step, all target blocks in one."""

    def __init__(self, peer: Peer):
        super().__init__()
        self.peer = [peer]

    def forward(self, x: torch.Tensor, height: int, width: int) -> IJEPAMaskOutput:
        masks = self.peer[0].setting.masks("i-jepa", self.peer[0].index)
        return IJEPAMaskOutput(context_idx=masks.context, target_idx=masks.targets.flatten(1), target_block_masks=None, mask=None)


class StableIJEPA(Peer):
    """I-JEPA of stable-pretraining. Its predictor answers for all target blocks in one sequence, which is less work."""

    def __init__(self, setting: Setting, precision: str):
        super().__init__(setting, precision)
        self.method = spt.IJEPA(setting.transformer(global_pool=""), predictor_embed_dim=PREDICTOR["width"],
                                predictor_depth=PREDICTOR["depth"])
        self.method.masking = GivenIJEPA(self)
        self.ready(self.method)

    def loss(self, index: int) -> torch.Tensor:
        self.index = index
        return self.method(self.setting.images(index)).loss

    def follow(self, index: int) -> None:
        self.method.encoder.update_ema_coefficient(index, TOTAL)
        self.method.encoder.update_teacher()


class StableSimCLR(Peer):
    """SimCLR of stable-pretraining."""

    def __init__(self, setting: Setting, precision: str):
        super().__init__(setting, precision)
        self.method = spt.SimCLR(setting.transformer(dynamic_img_size=True), projector_dims=(HIDDEN, PROJECTION), temperature=0.1)
        self.ready(self.method)

    def loss(self, index: int) -> torch.Tensor:
        images = self.setting.images(index)
        return self.method(images, images.clone()).loss


class StableLeJEPA(PlainLeJEPA):
    """LeJEPA of stable-pretraining."""

    def __init__(self, setting: Setting, precision: str):
        super().__init__(setting, precision)
        vit, head = self.vit, self.head
        self.method = spt.LeJEPA("vit_tiny_patch16_224", projector=head, n_slices=SLICES, lamb=0.05)
        self.method.backbone = vit
        self.ready(self.method)

    def loss(self, index: int) -> torch.Tensor:
        large, small = self.views(index)
        return self.method(list(large.chunk(2)), list(small.chunk(LOCAL_VIEWS))).loss


PEERS = {"lightly": {"mae": LightlyMAE, "i-jepa": LightlyIJEPA, "simclr": LightlySimCLR, "lejepa": LightlyLeJEPA},
         "stable-pretraining": {"mae": StableMAE, "i-jepa": StableIJEPA, "simclr": StableSimCLR, "lejepa": StableLeJEPA}}
