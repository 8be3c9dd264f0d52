"""The sections of a run's page, each a function of the collected report."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from unveil.reports.decision import share
from unveil.reports.figures import Line, line_chart, number
from unveil.reports.markup import Markup, join, tag
from unveil.reports.tables import bodies_of, budgets_of, cells_of, chart, columns, graded, lines_of, table

Held = Mapping[str, Any]
TONES = {"use": "Use it", "avoid": "Do not use it", "even": "No clear gain", "open": "Not judged", "before": "Before training"}
UNBROKEN = re.compile(r"(\S+ \[[^\]]*\]|\S*fine-tuned\S*)")
CURVES = (
    ("Loss", (("loss", "", "main"),), "what the method minimises; alone it says little"),
    ("Effective rank", (("embedding/effective_rank", "encoder ", "main"), ("projection/effective_rank", "projection ", "other")),
     "directions in which samples differ; near 1 is collapse"),
    ("Neighbours of the same class", (("embedding/knn", "", "main"),), "share, of training samples; labels are not learned from"),
    ("Spread", (("embedding/spread", "encoder ", "main"), ("projection/spread", "projection ", "other")),
     "share of the features in which samples differ; near 0 is collapse"),
    ("Distance of views", (("embedding/view_distance", "encoder ", "main"), ("projection/view_distance", "projection ", "other")),
     "views of one sample, over any two; near 0 the task is trivial"),
    ("Learning rate", (("lr", "", "main"),), "as it was used"))


def section(name: str, title: str, how: Any, *body: Any) -> Markup:
    """A heading with a word on how to read what stands beside it."""
    header = tag("header", tag("h2", title, id=f"{name}-title"), tag("p", how) if how else None)
    return tag("section", header, tag("div", *body, class_="body"), id=name, aria_labelledby=f"{name}-title")


def decision(held: Held) -> Markup:
    """The first lines."""
    said = held["decision"]
    whole = lambda text: [tag("span", part, class_="unbroken") if i % 2 else part for i, part in enumerate(UNBROKEN.split(text))]
    return tag("div", tag("p", said.get("label") or TONES[said["tone"]], class_="tone"), tag("h1", whole(said["headline"])),
               [tag("p", whole(text)) for text in said["rest"]], class_=f"decision {said['tone']}")


def scores(held: Held) -> Markup | None:
    """Every way of describing a sample at every label budget, beside the controls."""
    rows, status = graded(held["rows"]), held["ending"]["status"]
    if held["rows"] and not rows:
        return None
    if not rows:
        name = ["no labels are known. ", tag("code", "--labels"), " names them: a folder a class, a column, or a CSV file. They "
                "are used to judge, never to learn."]
        why = name if status == "finished" else f"the run ended {status}."
        return section("scores", "Features against controls", "", tag("p", "Not judged: ", why))
    budgets, chance = columns(rows), held["facts"].get("majority")
    ours = {each: [(cell["value"], "ours")] for each, cell in cells_of(rows, "linear", "encoder").items()}
    beside = {each: ours.get(each, []) + ([] if chance is None else [(chance, "chance")]) for each in budgets}
    draws = max(len(row["values"]) for row in rows)
    spans = f"over {draws} draws of the labels, and for all labels over test samples" if draws > 1 else "over test samples"
    how = [f"Accuracy on {rows[0]['n_test']:,} held-out samples ({rows[0]['split_name']}). Lines are 95% intervals: {spans}; "
           "neither says how data from elsewhere would do. The ", tag("b", "upright line", class_="ours"),
           " is this encoder with a linear probe",
           "." if chance is None else f"; the dashed one names the most frequent class always ({share(chance)})."]
    return section("scores", "Features against controls", how, chart(lines_of(rows), budgets_of(rows)),
                   table(bodies_of(rows), budgets, beside))


def learning(held: Held) -> Markup:
    """Small multiples of the figures by step."""
    found, since = held["curves"], [(f["since"], f["fault"]) for f in held["ending"]["findings"]]
    own = [(name.removeprefix("method/"), ((name, "", "main"),), "a figure of the method's own")
           for name in found if name.startswith("method/")]
    how = "A loss alone cannot tell learning from collapse; the figures beside it can. Each is labelled with its last value."
    return section("learning", "How it learned", how, tag(
        "div", [_curve(found, *curve, since) for curve in (*CURVES, *own[:6])], class_="multiples"))


def _curve(found: Held, title: str, parts: Iterable[tuple[str, str, str]], word: str,
           since: Sequence[tuple[int, str]]) -> Markup | None:
    """One small chart; None where the log has none of ``parts``."""
    lines = []
    for name, prefix, style in parts:
        points = [(x, y) for x, y in found.get(name, []) if y is not None]
        if points:
            lines.append(Line(points, f"{prefix}{number(points[-1][1])}", style))
    if not lines:
        return None
    first, last = min(line.points[0][0] for line in lines), max(line.points[-1][0] for line in lines)
    told = [f"{line.end} at step {line.points[-1][0]}, {number(line.points[0][1])} at step {line.points[0][0]}, "
            f"lowest {number(min(y for _, y in line.points))}" for line in lines]
    picture = line_chart(lines, f"{title}. {'; '.join(told)}", below=[(first, str(first)), (last, f"{last} steps")], marks=since)
    return tag("figure", tag("h3", title), picture, tag("figcaption", word))


def health(held: Held) -> Markup:
    """The verdict in words."""
    how = ("A reading of the curves above by fixed rules, without labels. Healthy says that nothing collapsed; whether the "
           "features are of use, only labels tell.")
    findings = held["ending"]["findings"]
    if findings:
        body = [tag("div", tag("h3", f"{f['fault'].capitalize()}, from step {f['since']}"),
                    tag("p", f["sentence"][:1].upper(), f["sentence"][1:], "."), tag("p", tag("b", "Try: "), f["advice"], "."),
                    class_="finding") for f in findings]
    elif held["health"]:
        state, _, figures = held["health"].partition(": ")
        body = [tag("p", f"{state.capitalize()}.", class_="state"),
                tag("ul", [tag("li", text) for text in figures.split("; ")], class_="plainly")]
    else:
        body = [tag("p", "The run was too short for a verdict.")]
    return section("health", "Health", how, body)


def data(held: Held) -> Markup:
    """What went in."""
    facts, faults = held["facts"], held["facts"]["faults"]
    shape = " \N{MULTIPLICATION SIGN} ".join(map(str, facts["shape"]))
    grid = f"{facts['channels']} channel{'s' * (facts['channels'] != 1)} of {shape} values"
    parts = f"{facts['split']}: {facts['train']:,} learned from, {facts['test']:,} held out"
    said = {"samples": f"{facts['samples']:,}",
            "each": grid if shape else facts["looks"],
            "groups": f"{facts['groups']:,}" if facts["groups"] else "unknown",
            "split": parts if facts["split"] else "none: no labels"}
    aside = tag("p", "Nothing was set aside.")
    if faults:
        listed = [tag("li", tag("b", name), why) for name, why in faults.items()]
        more = tag("details", tag("summary", f"and {len(listed) - 20:,} more"), tag("ul", listed[20:], class_="faults"))
        aside = join(tag("h3", f"Set aside: {len(faults):,}"), tag("ul", listed[:20], class_="faults"), more if listed[20:] else None)
    return section("data", "What went in", "Labels are counted here, and were never shown to the method.", facts_list(said),
                   [tag("p", note) for note in facts.get("notes", [])], _counts(facts), aside)


def _counts(facts: Held, most: int = 60) -> Markup | None:
    """Samples of each class on both sides of the split."""
    if "counts" not in facts:
        return None
    learned, held = facts["counts"]["train"], facts["counts"]["test"]
    top = max(1, *learned, *held)
    bar = lambda n: tag("td", tag("span", style=f"--v:{n / top:.3f}"), f"{n:,}", class_="count")
    rows = [tag("tr", tag("th", name, scope="row"), bar(a), bar(b))
            for name, a, b in zip(facts["classes"], learned, held, strict=True)]
    heads = [tag("th", text, scope="col") for text in ("class", "learned from", "held out")]
    more = tag("p", f"and {len(rows) - most} more classes") if len(rows) > most else None
    return join(tag("table", tag("thead", tag("tr", heads)), tag("tbody", rows[:most]), class_="counts"), more)


def facts_list(said: Mapping[str, Any], **attributes: Any) -> Markup:
    """Names with what they are."""
    return tag("dl", [tag("div", tag("dt", name), tag("dd", text)) for name, text in said.items()], **attributes)


def code(text: str, name: str) -> Markup:
    """A block that can be copied."""
    return tag("div", tag("pre", tag("code", text), tabindex=0, aria_label=name),
               tag("button", "copy", type="button", class_="copy", aria_label=f"copy: {name}"), class_="code")


def repeat(held: Held) -> Markup:
    """How to use the encoder, and how to make it again."""
    ending, made = held["ending"], held["with"]
    waited = ending["waited"] / ending["seconds"] if ending["seconds"] else 0
    said = {"seed": held["recipe"]["seed"], "made": held["made"], "unveil": made["unveil"], "torch": made["torch"],
            "python, numpy": f"{made['python']}, {made['numpy']}", "machine": made["machine"],
            "training": f"{ending['status']} after {ending['step']:,} steps in {duration(ending['seconds'])} "
                        f"({duration(ending['cpu_seconds'])} of processor time)",
            "waiting for data": f"{duration(ending['waited'])}, {waited:.0%} of the time"}
    width = f"{held['figures']['embedding/width']:.0f}" if "embedding/width" in held["figures"] else "width"
    use = (f"import unveil\n\nencoder = unveil.load({held['folder']!r})\n"
           f'features = unveil.embed(encoder, "new data")   # (n, {width}) array')
    how = ("The command names every setting that was chosen here for this machine and these data, so it gives the same run "
           "elsewhere.")
    body = [] if ending["status"] == "stopped" else [tag("h3", "Use it"), code(use, "lines that use the encoder")]
    if "command" in held:
        body += [tag("h3", "Repeat it"), code(held["command"], "command that repeats the run")]
    return section("repeat", "Use it, repeat it", how, body, facts_list(said))


def duration(seconds: float) -> str:
    """In the unit that suits."""
    if seconds < 120:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def recipe(held: Held) -> Markup:
    """All settings, with who chose them."""
    found, given = held["recipe"], held.get("given", [])
    rows = lambda part: [_setting(f"{part}.{key}", value, found["reasons"], given)
                         for key, value in found[part].items() if key != "name"]
    title = lambda part: tag("caption", part, " ", tag("b", found[part].get("name", "")))
    tables = [tag("table", title(part), tag("tbody", rows(part)), class_="settings")
              for part in ("kind", "encoder", "method", "train")]
    how = ["Scale ", tag("b", found["scale"]), ". Settings that were given or chosen for these data stand out, with the reason."]
    return section("recipe", "Recipe", how, tag("div", tables, class_="recipe"))


def _setting(path: str, value: Any, reasons: Held, given: Sequence[str]) -> Markup:
    why = reasons.get(path) or ("as you said" if path in given else "")
    text = ", ".join(map(_word, value)) if isinstance(value, list) else _word(value)
    return tag("tr", tag("th", path.partition(".")[2], scope="row"), tag("td", text), tag("td", why),
               class_="chosen" if why else None)


def _word(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "-"}[value]
    return f"{value:g}" if isinstance(value, float) else str(value)
