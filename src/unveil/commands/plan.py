"""``unveil plan``."""

from __future__ import annotations

from unveil.commands.words import OUT, command, options_of, print_json, say


def add(commands) -> None:
    new = command(commands, "plan", run, "What a run will take, before any work: weights, memory, hours.",
                  "  unveil plan i-jepa --kind image\n"
                  "  unveil plan mae --kind image --gpus 64 --train.strategy fsdp\n"
                  "  unveil plan simclr --data photos/ --scale auto --hardware cpu\n"
                  "  unveil plan patchtst --kind signal --channels 7 --samples 8000", data=True)
    new.set_defaults(settings=True)
    new.add_argument("method", help="name (unveil list shows all)")
    new.add_argument("--data", help="folder, file, built-in set, or hf:NAME, for number and shape of the samples")
    new.add_argument("--samples", type=int, help="their number, where there are no data here")
    new.add_argument("--channels", type=int, help="of a signal, where there are no data here: small recipes do not say it, nor those of "
                                                  "papers with several sets")
    new.add_argument("--encoder", help="network: transformer, conv")
    new.add_argument("--scale", default="published", choices=["auto", "small", "published"],
                     help="settings to start from (default published)")
    new.add_argument("--hardware", default="h100", help="a100, h100, h200, rtx-4090, or cpu, which measures this one (default h100)")
    new.add_argument("--gpus", type=int, help="number of such devices (default 8)")
    new.add_argument("--mfu", type=float, default=0.35, help="share of the peak that is reached, an assumption (default %(default)s)")
    new.epilog = "Any setting can be given by its name, such as --encoder.width 1024;\nunveil list METHOD shows them."


def run(given, settings) -> None:
    from unveil import api
    found = api.plan(given.method, kind=given.kind, data=given.data, samples=given.samples, channels=given.channels, encoder=given.encoder,
                     scale=given.scale, hardware=given.hardware, gpus=given.gpus, mfu=given.mfu, options=options_of(given),
                     settings=settings, say=say(given))
    if given.json:
        print_json(found.to_json())
        return
    for name, sentence in lines(found).items():
        OUT.print(f"[bold]{name:<12}[/] {sentence}")


def lines(found) -> dict[str, str]:
    """A sentence a heading."""
    cost, memory, time, settings, on = found.cost, found.memory, found.time, found.settings, found.hardware
    held, number, strategy = cost.weights, settings.processes, "fsdp" if settings.strategy == "fsdp" else "ddp"
    method, kind, encoder = found.recipe.method["name"], found.recipe.kind["name"], found.recipe.encoder["name"]
    bound = "the network" if time.network > time.compute else "computation"
    told = {
        "plan": f"{method} with {encoder} on {kind}, scale {found.recipe.scale}, on {number} x {on.name}, {strategy}" * (number > 1)
                or f"{method} with {encoder} on {kind}, scale {found.recipe.scale}, on {on.name}",
        "weights": f"encoder {held.encoder:,}, rest of the method {held.rest:,}, teacher {held.teacher:,}",
        "step": f"{found.each:,.0f} samples{f' of {found.size:.1f} rows on average' * bool(found.size)}, "
                f"{_flop(number * cost.flops)} forward and backward (matrix products, convolutions)",
        "memory": f"{memory.total / 1e9:,.1f} GB a device of {on.memory:,.0f} GB: weights {memory.weights / 1e9:,.1f}, gradients "
                  f"{memory.gradients / 1e9:,.1f}, optimiser {memory.optimiser / 1e9:,.1f}, activations {memory.activations / 1e9:,.1f}"
                  f"{'' if found.fits else _smaller(found)}",
        "time": f"{time.step:,.3f} s a step, bound by {bound}: compute {time.compute:,.3f} at {found.mfu:.0%} of {on.tflops:,.1f} TFLOP/s "
                f"(--mfu, an assumption), update {time.update:,.3f}, network {time.network:,.3f} for {time.sent / 1e9:,.2f} GB sent"}
    if found.hours is None:
        told["run"] = "the number of samples is not known: give --samples or --data, or --train.steps"
    else:
        over = f" over {found.samples:,} samples" if found.samples else ""
        told["run"] = (f"{found.steps:,} steps{over}: {found.hours:,.1f} hours"
                       + f", {number * found.hours:,.0f} device hours" * (number > 1))
    return told | {"figures": on.source}


def _flop(count: float) -> str:
    """In the unit that suits."""
    return f"{count / 1e12:,.2f} TFLOP" if count >= 5e9 else f"{count / 1e9:,.2f} GFLOP"


def _smaller(found) -> str:
    """What to do where a step does not fit."""
    room = found.settings.memory_share * 1e9 * found.hardware.memory - (found.memory.total - found.memory.activations)
    part = found.settings.batch // (found.settings.accumulate * found.settings.processes)
    fitting = [parts for parts in range(1, part + 1) if part % parts == 0 and found.memory.activations / parts <= room] if room > 0 else []
    if fitting:
        return f". It does not fit {found.settings.memory_share:.0%} of that: --train.accumulate {found.settings.accumulate * fitting[0]}"
    return ". It does not fit: more devices with --train.strategy fsdp, or a smaller network"
