"""Numbers from Prithvitarale/biopm, dapowan/LIMU-BERT-Public and zhihanyue/ts2vec:
``python make_motion.py BIOPM COMMIT LIMU COMMIT TS2VEC COMMIT``. None of their code is here."""

import importlib
import sys
import types
from types import SimpleNamespace

import motion
import numpy as np
import torch
from given import keep, normal

from unveil.parts.movement import POINTS

sys.modules["h5py"] = types.ModuleType("h5py")
biopm_at, biopm_commit, limu_at, limu_commit, ts2vec_at, ts2vec_commit = sys.argv[1:]


def loaded(folder, *names):
    sys.path.insert(0, folder)
    found = [importlib.import_module(name) for name in names]
    sys.path.pop(0)
    return found


package = types.ModuleType("biopm")
package.__path__ = [f"{biopm_at}/biopm"]
sys.modules["biopm"] = package
pretraining, preprocessing, features = loaded(biopm_at, "biopm.pretraining", "biopm.preprocessing", "biopm.features")

body = motion.body()
cfg = preprocessing.PreprocessConfig(target_fs=motion.RATE, window_sec=motion.WINDOW)
waves, info, place, *_ = preprocessing.detect_zero_crossings(body, np.arange(len(body)) / motion.RATE, cfg)
elements = np.concatenate([waves, place[:, None], info[["axis", "len"]].values], 1)

WHERE = {"encoder.axis": "encoder_acc.axis_embedding", "encoder.place": "encoder_acc.pos_emb_net",
         "encoder.enter": "encoder_acc.post_pos_ln", "encoder.mask_token": "encoder_acc.mask_token"}
LAYER = {"qkv": "self_attn.in_proj", "out": "self_attn.out_proj", "inner": "linear1", "outer": "linear2", "norm1": "norm1",
         "norm2": "norm2"}
ours = motion.biopm()
theirs = pretraining.PretrainModel(pretraining.TimeSeriesTransformer())
layers = theirs.encoder_acc.transformer_encoder_points_within_segment
for number, layer in enumerate(layers):
    layers[number] = type(layer)(64, 4, 96, 0.0, 15)
del layers[2:]
state = theirs.state_dict()
for name, x in ours.state_dict().items():
    part = name.split(".")
    if name.startswith("encoder.waves.") or name.startswith("decode."):
        end = name.startswith("decode.")
        convs, at = ((0, 3, 6, 9, 12), (1, 4, 7, 10)) if end else ((0, 3, 7), (1, 4, 8))
        kind, number, *rest = part[-3:]
        path = "decoder_cnn.decode_cnn" if end else "encoder_acc.conv_encode.conv"
        goal = f"{path}.{(convs if kind == 'convs' else at)[int(number)]}.{rest[0]}"
    elif name.startswith("encoder.layers."):
        home = f"encoder_acc.transformer_encoder_points_within_segment.{part[2]}"
        goal, x = (f"{home}.self_attn.rel_bias", x.T) if part[3] == "bias" else (f"{home}.{LAYER[part[3]]}.{part[4]}", x)
    else:
        old = next(old for old in WHERE if name.startswith(old))
        goal = WHERE[old] + name[len(old):]
    if goal.endswith("axis_embedding.weight"):
        x = torch.cat([x, state[goal][3:]])
    assert state[goal].shape == x.shape, (name, goal)
    state[goal] = x
theirs.load_state_dict(state)
theirs.eval()
rows, mask = motion.rows(), motion.hidden().float()
given = rows[..., :POINTS], rows[..., POINTS], mask, rows[..., POINTS + 1:]
with torch.no_grad():
    answer = theirs(*given)
    local = theirs.encoder_acc(*given)
    loss, hidden_part, seen_part = pretraining.masked_recon_loss(answer, given[0], mask)
    pooled = features.total_mean_std(local, torch.ones_like(mask, dtype=torch.bool))

limu_models, limu_utils = loaded(limu_at, "models", "utils")
ours = motion.limu()
cfg = SimpleNamespace(hidden=72, hidden_ff=144, feature_num=6, n_layers=4, n_heads=4, seq_len=120, emb_norm=True)
theirs_limu = limu_models.LIMUBertModel4Pretrain(cfg)
names = {"encoder.project": "transformer.embed.lin", "encoder.place.weight": "transformer.embed.pos_embed.weight",
         "encoder.enter": "transformer.embed.norm", "encoder.out": "transformer.proj", "encoder.inner": "transformer.pwff.fc1",
         "encoder.outer": "transformer.pwff.fc2", "encoder.norm1": "transformer.norm1", "encoder.norm2": "transformer.norm2",
         "decode.0": "linear", "decode.2": "norm", "decode.3": "decoder"}
state = theirs_limu.state_dict()
for name, x in ours.state_dict().items():
    if name.startswith("encoder.qkv."):
        for letter, part in zip("qkv", x.chunk(3)):
            state[f"transformer.attn.proj_{letter}.{name.rpartition('.')[2]}"] = part
    elif old := next((old for old in names if f"{name}.".startswith(f"{old}.")), None):
        goal = names[old] + name[len(old):]
        if ".norm" in f".{goal}" and goal.split(".")[-2].startswith("norm"):
            goal = goal.replace("weight", "gamma").replace("bias", "beta")
        assert state[goal].shape == x.shape, (name, goal)
        state[goal] = x
theirs_limu.load_state_dict(state)
with torch.no_grad():
    limu_local, limu_answer = theirs_limu.transformer(normal(21, 2, 120, 6)), theirs_limu(normal(21, 2, 120, 6))
np.random.seed(0)
masks = np.zeros((4000, 120), bool)
for row in masks:
    row[limu_utils.span_mask(120, 10, goal_num_predict=18)] = True
runs = (np.diff(np.pad(masks, ((0, 0), (1, 1))).astype(int), axis=1) == 1).sum(1)

for name in ("utils", "models", "config"):
    sys.modules.pop(name, None)
encoder_at, losses = loaded(ts2vec_at, "models.encoder", "models.losses")
ours = motion.dilated()
theirs_net = encoder_at.TSEncoder(3, 20, 12, depth=3)
state = theirs_net.state_dict()
for name, x in ours.state_dict().items():
    if name.startswith("blocks."):
        _, number, part, end = name.split(".")
        goal = {"first": "conv1.conv", "second": "conv2.conv", "shortcut": "projector"}[part]
        state[f"feature_extractor.net.{number}.{goal}.{end}"] = x
    elif name.startswith("project."):
        state[name.replace("project", "input_fc")] = x
theirs_net.load_state_dict(state)
theirs_net.eval()
with torch.no_grad():
    series = theirs_net(normal(31, 2, 50, 3), mask=normal(32, 2, 50) > 0)
found = []
a, b = (normal(seed, 5, 13, 6).requires_grad_() for seed in (33, 34))
for alpha in (0.0, 0.5, 1.0):
    value = losses.hierarchical_contrastive_loss(a, b, alpha)
    found.append(torch.cat([value[None], torch.autograd.grad(value, a)[0].flatten()]))

keep("motion", f"Prithvitarale/biopm @ {biopm_commit}, dapowan/LIMU-BERT-Public @ {limu_commit}, zhihanyue/ts2vec @ {ts2vec_commit}, "
     f"torch {torch.__version__}", elements=elements, local=local, answer=answer, loss=loss, terms=np.array([hidden_part, seen_part]),
     pooled=pooled, limu_local=limu_local, limu_answer=limu_answer, limu_hidden=masks.mean(0), limu_runs=np.bincount(runs, minlength=19),
     series=series, contrast=torch.stack(found))
