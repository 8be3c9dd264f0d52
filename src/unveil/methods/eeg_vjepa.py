"""EEG-VJEPA: V-JEPA on recordings that stand as films, frame after frame of channels by time."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from torch import Tensor, nn
from torch.nn import functional as F

from unveil.contracts import Batch, Count, Encoder, Fraction, Method, NotNegative, Output, Positive, Step
from unveil.parts.frames import cropped, plane_crops, time_crops
from unveil.parts.losses import masked_mean
from unveil.parts.masking import Masks
from unveil.parts.precision import wide
from unveil.parts.predictor import Predictor
from unveil.parts.schedules import linear
from unveil.parts.stretches import tubes
from unveil.parts.teacher import Teacher
from unveil.tokens import Tokens, take


class EEGVJEPA(Method):
    """V-JEPA (Bardes et al. 2024) on EEG (Hojjati et al. 2025, arXiv 2507.03633).

    Tubes through all frames are hidden, once many small blocks and once few large ones. For each of the two the encoder reads what is left,
    and one narrow predictor, with a mask token of its own for each, says what the teacher (a moving average of the encoder, on the whole)
    has at the hidden places. The loss is the absolute difference to the teacher's features after a layer norm without parameters, the mean
    of both. The teacher is kept.

    Args:
        encoder: what is taught; it reads frames.
        predictor_width: of the predictor's blocks.
        predictor_depth: their number.
        predictor_heads: attention heads of the predictor.
        blocks: number of blocks of each of the two ways of hiding.
        shares: share of a frame that a block of each covers.
        aspect: smallest and largest height over width of a block.
        momentum: of the teacher, at the start and at the end.
        crop: of each frame the same stretch of time, stretched to the whole; nothing; or as control the published crop of channels and
            time, which on frames much longer than they have channels is one and the same piece of the middle in every sample.
        crop_area: smallest and largest share of a frame that a crop keeps.
        crop_aspect: smallest and largest width over height of the published crop.
        spread: weight of a term that pushes the deviation of answers over tokens up to 1.
        target: the teacher's features, or as control the normalised values of the same tokens: a masked autoencoder.
        masking: tubes, or as control random tokens at the same counts.
        teacher: follow the encoder. As broken twin the target is the encoder itself, with gradient.
    """

    source = "arXiv 2507.03633; amir-hojjati/eeg-vjepa, facebookresearch/jepa"
    needs = frozenset({"keep", "tokens", "frames"})
    twins = {"no teacher and no stop-gradient": dict(teacher=False)}
    tiny = dict(predictor_width=48, predictor_depth=1, predictor_heads=2, momentum=(0.9, 1.0), crop="none", blocks=(2, 1),
                shares=(0.25, 0.5))

    def __init__(self, encoder: Encoder, *, predictor_width: Count = 384, predictor_depth: Count = 6, predictor_heads: Count = 6,
                 blocks: tuple[Count, Count] = (8, 2), shares: tuple[Fraction, Fraction] = (0.15, 0.7),
                 aspect: tuple[Positive, Positive] = (0.75, 1.5), momentum: tuple[Fraction, Fraction] = (0.998, 1.0),
                 crop: Literal["time", "none", "published"] = "time", crop_area: tuple[Fraction, Fraction] = (0.3, 1.0),
                 crop_aspect: tuple[Positive, Positive] = (0.75, 1.35), spread: NotNegative = 0.0,
                 target: Literal["features", "values"] = "features", masking: Literal["tubes", "random"] = "tubes",
                 teacher: bool = True):
        super().__init__(encoder)
        self.blocks, self.shares, self.aspect, self.momentum, self.spread = blocks, shares, aspect, momentum, spread
        self.crop, self.crop_area, self.crop_aspect, self.target, self.masking = crop, crop_area, crop_aspect, target, masking
        self.teacher = Teacher(encoder) if teacher and target == "features" else None
        self.predictor = Predictor(encoder.width, encoder.width if target == "features" else encoder.patch_values,
                                   width=predictor_width, depth=predictor_depth, heads=predictor_heads, tokens=2)
        nn.init.zeros_(self.predictor.mask_token)

    def _cut(self, batch: Batch, step: Step) -> Batch:
        """Frames of a crop of each."""
        framed = self.encoder.frames(batch)
        if self.crop == "none":
            return framed
        rows, columns, draws = framed.values.shape[1], framed.values.shape[3], step.generator("crop")
        box = time_crops(rows, columns, self.crop_area, draws, batch.keys) if self.crop == "time" else \
            plane_crops(rows, columns, self.crop_area, self.crop_aspect, draws, batch.keys)
        valid = framed.valid
        if valid is not None:
            valid = cropped(valid[:, None].expand_as(framed.values).to(framed.values), box)[:, 0] > 0.999
        values = cropped(framed.values, box)
        return replace(framed, values=values if valid is None else values * valid[:, None], valid=valid)

    def _masks(self, tokens: Tokens, number: int, keys: Tensor, step: Step) -> Masks:
        masks = tubes(tokens.grid, step.generator(f"masks {number}"), keys, blocks=self.blocks[number], share=self.shares[number],
                      aspect=self.aspect)
        if self.masking == "random":
            order = step.generator(f"random masks {number}").permutation(tokens.values.shape[1], keys)
            kept, asked = masks.context.shape[1], masks.targets.shape[2]
            masks = Masks(order[:, :kept], order[:, None, kept:kept + asked])
        return masks

    def forward(self, batch: Batch, step: Step) -> Output:
        view, = step.view(batch)
        framed = self._cut(view, step)
        tokens = self.encoder.embed(framed)
        whole = None
        if self.target == "features":
            whole = self.encoder.encode(tokens) if self.teacher is None else self.teacher(framed)
        goal = wide(tokens.raw if whole is None else whole.local)
        goal = F.layer_norm(goal, goal.shape[-1:])
        errors, spreads = [], []
        for number in (0, 1):
            masks = self._masks(tokens, number, batch.keys, step)
            asked = masks.targets[:, 0]
            seen = self.encoder.encode(tokens, keep=masks.context)
            answer = wide(self.predictor(seen.local, masks.context, asked, tokens.grid, token=number))
            errors.append(masked_mean((answer - take(goal, asked)).abs(), None if tokens.valid is None else take(tokens.valid, asked)))
            spreads.append((answer.var(1) + 1e-4).sqrt())
        narrow = F.relu(1 - (spreads[0] + spreads[1]) / 2).mean()
        shown = {"embedding": (whole or seen).pooled.detach()[None], "views": view.values[None], "seen": masks.context,
                 "asked": masks.targets}
        return Output((errors[0] + errors[1]) / 2 + self.spread * narrow,
                      {"small": errors[0].detach(), "large": errors[1].detach(), "narrow": narrow.detach()}, shown)

    def after_step(self, step: Step) -> None:
        if self.teacher is not None:
            self.teacher.follow(self.encoder, linear(*self.momentum, step.progress))

    def kept(self) -> dict[str, nn.Module]:
        return {"encoder": self.encoder if self.teacher is None else self.teacher.network}
