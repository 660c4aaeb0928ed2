"""The report as one web page for people: it needs nothing from elsewhere, runs no script, and fits a phone."""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence

from container_image.audit import AuditReport, Finding
from container_image.formats.words import (
    Failure,
    Outcome,
    clean,
    gaps,
    heading,
    image_name,
    joint_summary,
    made_by,
    summary,
    verdict,
    warned,
    where,
)

_STYLE = """\
:root{color-scheme:light dark;--line:#8884;--leaked:#c62828;--incomplete:#b26a00;--clean:#2e7d32}
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:0 auto;padding:1rem;overflow-wrap:anywhere}
h1{font-size:1.3rem;margin:0;padding:.8rem 1rem;border-radius:.5rem;color:#fff}
h1.leaked{background:var(--leaked)}h1.incomplete{background:var(--incomplete)}h1.clean{background:var(--clean)}
h2{font-size:1.1rem;margin:2rem 0 .5rem}
article{border:1px solid var(--line);border-left:.4rem solid var(--leaked);border-radius:.5rem;padding:.6rem 1rem;margin:.8rem 0}
article.gap{border-left-color:var(--incomplete)}article.accepted{border-left-color:var(--line)}
h3{font-size:1rem;margin:0}dl{display:grid;grid-template-columns:max-content 1fr;gap:.1rem .8rem;margin:.4rem 0 0}
dt{opacity:.7}dd{margin:0}code,dd{white-space:pre-wrap}
table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.3rem .6rem;border-bottom:1px solid var(--line)}
"""
_TITLES = {
    "unread": "Not read",
    "unsearched": "Not searched for",
    "another-value": "Built with another value",
    "absent-platform": "Not there",
}


def render(report: AuditReport) -> str:
    """The report as a page, in ASCII."""
    return _page(_title(report), _report(report))


def join(outcomes: Sequence[Outcome]) -> str:
    """One page with the reports one below the other, under a line that sums them up."""
    title = joint_summary(outcomes)
    parts = [_failed(outcome) if isinstance(outcome, Failure) else _report(outcome) for outcome in outcomes]
    return _page(title, f"<p>{_text(title)}</p>\n{''.join(parts)}")


def _title(report: AuditReport) -> str:
    return f"{verdict(report)}: {image_name(report)}"


def _page(title: str, body: str) -> str:
    page = f"""\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{_text(title)}</title>
<style>
{_STYLE}</style>
</head>
<body>
{body}</body>
</html>
"""
    return page.encode("ascii", "xmlcharrefreplace").decode()


def _report(report: AuditReport) -> str:
    return f"""\
<h1 class="{report.verdict.value}">{_text(_title(report))}</h1>
<p>{_text(summary(report))}</p>
{_facts(*_identity(report))}
{"".join(_sections(report))}"""


def _failed(failure: Failure) -> str:
    title = f"not audited: {failure.reference}"
    return f'<h1 class="incomplete">{_text(title)}</h1>\n<p>{_text(failure.message)}</p>\n'


def _identity(report: AuditReport) -> Iterator[tuple[str, str]]:
    yield "digest", report.image.digest
    yield "platforms", ", ".join(report.image.platforms)
    yield "searched by", f"container-image {report.engine.version}, forms of version {report.engine.forms}"


def _sections(report: AuditReport) -> Iterator[str]:
    if report.findings:
        yield "<h2>Found</h2>\n"
        yield from map(_finding, report.findings)
    missing = list(gaps(report))
    if missing:
        yield "<h2>Not searched</h2>\n"
        for gap in missing:
            yield _card("gap", f"{_TITLES[gap.kind]}: {gap.what}", ("why", gap.why), accepted=gap.accepted)
    if report.warnings:
        yield "<h2>Worth knowing</h2>\n"
        for warning, told in warned(report):
            facts = (
                ("in", warning.step),
                ("where", where(warning)),
                ("from", made_by(warning)),
                ("fix", warning.advice),
            )
            yield _card("gap", told, *((name, text or "") for name, text in facts), accepted=False)
    yield "<h2>Secrets</h2>\n<table>\n<tr><th>name</th><th>versions</th><th>result</th></tr>\n"
    leaked = {finding.label for finding in report.findings if not finding.accepted}
    partly = any(not gap.accepted for gap in missing if gap.kind in ("unread", "absent-platform"))
    for row in report.secrets:
        if row.label in leaked:
            result = "in the image"
        elif row.searched:
            result = "not found in what was read" if partly else "not found"
            if any(finding.label == row.label for finding in report.findings):
                result = "accepted"
        else:
            result = f"not searched for: {row.reason}"
        yield f"<tr><td>{_text(row.label)}</td><td>{row.versions}</td><td>{_text(result)}</td></tr>\n"
    yield "</table>\n"


def _finding(finding: Finding) -> str:
    return _card(
        "leak",
        heading(finding),
        ("where", where(finding)),
        ("from", made_by(finding) or ""),
        ("fix", finding.advice),
        accepted=finding.accepted,
    )


def _card(kind: str, title: str, *facts: tuple[str, str], accepted: bool) -> str:
    mark = " (accepted)" if accepted else ""
    css = f"{kind} accepted" if accepted else kind
    return f'<article class="{css}">\n<h3>{_text(title)}{mark}</h3>\n{_facts(*facts)}\n</article>\n'


def _facts(*facts: tuple[str, str]) -> str:
    rows = "".join(f"<dt>{name}</dt><dd>{_text(text)}</dd>\n" for name, text in facts if text)
    return f"<dl>\n{rows}</dl>"


def _text(text: str) -> str:
    return html.escape(clean(text))
