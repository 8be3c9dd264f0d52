"""I-JEPA: from one part of a sample, predict what a slow teacher sees in other parts."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn
from torch.nn import functional as F

from unveil.contracts import Batch, Count, Encoder, Fraction, Method, Output, Positive, Step
from unveil.parts.losses import latent_error
from unveil.parts.masking import Masks, multiblock
from unveil.parts.precision import wide
from unveil.parts.predictor import Predictor
from unveil.parts.schedules import linear
from unveil.parts.teacher import Teacher
from unveil.tokens import Tokens


class IJEPA(Method):
    """Image joint-embedding predictive architecture (Assran et al. 2023, arXiv 2301.08243), for any token grid.

    A context block is encoded alone. A narrow predictor says, for each of several large target blocks, what the teacher
    (a moving average of the encoder, on the whole sample) has at its tokens. The loss is smooth L1 between the prediction and
    the teacher's features after a layer norm without parameters. The teacher is kept.

    Args:
        encoder: what is taught.
        predictor_width: of the predictor's blocks.
        predictor_depth: their number.
        predictor_heads: attention heads of the predictor.
        blocks: number of target blocks, predicted separately.
        target_scale: share of the grid that a target covers.
        target_aspect: height over width of a target.
        context_scale: share of the grid that the context's block covers, before targets are cut out of it.
        min_keep: a context has more tokens than this; lower it on a small grid.
        momentum: of the teacher, at the start and at the end.
        area: share of a sample that is read, by random crop.
        target: the teacher's features, or as control the normalised raw values of the same tokens.
        masking: multi-block, or as control random tokens at the same counts.
        faithful_masks: block sampling as in the published code, see :func:`unveil.parts.masking.multiblock`.
        teacher: follow the encoder. As broken twin the target is the encoder itself, with gradient.
    """

    source = "arXiv 2301.08243; facebookresearch/ijepa"
    needs = frozenset({"keep", "tokens"})
    twins = {"no teacher and no stop-gradient": dict(teacher=False)}
    tiny = dict(predictor_width=32, predictor_depth=1, predictor_heads=2, min_keep=1, momentum=(0.9, 1.0), area=(1.0, 1.0),
                target_scale=(0.1, 0.15))

    def __init__(self, encoder: Encoder, *, predictor_width: Count = 384, predictor_depth: Count = 12,
                 predictor_heads: Count = 12, blocks: Count = 4,
                 target_scale: tuple[Fraction, Fraction] = (0.15, 0.2), target_aspect: tuple[Positive, Positive] = (0.75, 1.5),
                 context_scale: tuple[Fraction, Fraction] = (0.85, 1.0), min_keep: Count = 10,
                 momentum: tuple[Fraction, Fraction] = (0.996, 1.0), area: tuple[Fraction, Fraction] = (0.3, 1.0),
                 target: Literal["features", "values"] = "features", masking: Literal["multiblock", "random"] = "multiblock",
                 faithful_masks: bool = True, teacher: bool = True):
        super().__init__(encoder)
        self.blocks, self.target_scale, self.target_aspect, self.context_scale = blocks, target_scale, target_aspect, context_scale
        self.min_keep, self.momentum, self.area, self.target, self.masking = min_keep, momentum, area, target, masking
        self.faithful_masks = faithful_masks
        self.teacher = Teacher(encoder) if teacher else None
        self.predictor = Predictor(encoder.width, encoder.width if target == "features" else encoder.patch_values,
                                   width=predictor_width, depth=predictor_depth, heads=predictor_heads)

    def _masks(self, tokens: Tokens, keys: Tensor, step: Step) -> Masks:
        masks = multiblock(tokens.grid, step.generator("masks"), keys, blocks=self.blocks, target_scale=self.target_scale,
                           target_aspect=self.target_aspect, context_scale=self.context_scale, min_keep=self.min_keep,
                           faithful=self.faithful_masks)
        if self.masking == "random":
            asked = masks.targets[0].numel()
            order = step.generator("random masks").permutation(tokens.values.shape[1], keys)
            kept = masks.context.shape[1]
            masks = Masks(order[:, :kept], order[:, None, kept:kept + asked])
        return masks

    def forward(self, batch: Batch, step: Step) -> Output:
        view, = step.view(batch, area=self.area)
        tokens = self.encoder.embed(view)
        masks = self._masks(tokens, batch.keys, step)
        whole = self.encoder.encode(tokens) if self.teacher is None else self.teacher(view)
        context = self.encoder.encode(tokens, keep=masks.context)
        answer = self.predictor(context.local, masks.context, masks.targets, tokens.grid)
        goal = wide(whole.local if self.target == "features" else tokens.raw)
        loss = latent_error(answer, F.layer_norm(goal, goal.shape[-1:]), masks.targets, tokens.valid)
        return Output(loss, shown={"embedding": whole.pooled.detach()[None], "views": view.values[None], "seen": masks.context,
                                   "asked": masks.targets})

    def after_step(self, step: Step) -> None:
        if self.teacher is not None:
            self.teacher.follow(self.encoder, linear(*self.momentum, step.progress))

    def kept(self) -> dict[str, nn.Module]:
        return {"encoder": self.encoder if self.teacher is None else self.teacher.network}
