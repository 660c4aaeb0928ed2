"""The formats for machines and browsers: valid whatever an image's names are, and complete."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_sarif.model import StaticAnalysisResultsFormatSarifVersion210JsonSchema as SarifLog

from container_image import AcceptedUnread, AuditPolicy, AuditReport, AuditWarning, Finding, SourceMap, audit
from container_image.audit.report import SearchedSecret, Unread
from container_image.formats import FORMATS
from tests.images import Builder, locked_zip

TOKEN = "tok9aZ8bY7cX6dW5eV4fU3gT2hS1iR0"
OTHER = "Qx5-another-VALUE-of-91-letters"
LOCKED = locked_zip()
HOSTILE = "a]]><script>alert(1)</script>&\x1b[2J\n'\"[x](http://e) \udcff\ufffe\x00\x85.txt"


def report_on(tmp_path: Path, files: dict[str, bytes], policy: AuditPolicy | None = None) -> AuditReport:
    image = Builder()
    config = {"history": [{"created_by": "COPY a /a # buildkit"}]}
    reference = image.archive(image.manifest([files], config=config), tmp_path / "a.tar")
    source = SourceMap("FROM scratch\nCOPY a /a\n", "sub dir/Dockerfile")
    return audit(reference, {"TOKEN": TOKEN, "OTHER": OTHER, "PIN": "1234"}, policy=policy, source=source)


@pytest.fixture
def leaked(tmp_path: Path) -> AuditReport:
    return report_on(tmp_path, {"etc/leak": TOKEN.encode(), "opt/x.zip": LOCKED})


@pytest.fixture
def accepted(tmp_path: Path) -> AuditReport:
    policy = AuditPolicy(accept_unread=(AcceptedUnread(path="opt/*"),), accept_unsearchable=("PIN",))
    return report_on(tmp_path, {"opt/x.zip": LOCKED}, policy)


def sarif(report: AuditReport) -> dict[str, Any]:
    """The one run of the SARIF report, which is valid by the schema."""
    log = json.loads(FORMATS["sarif"](report))
    SarifLog.model_validate(log)
    run: dict[str, Any] = log["runs"][0]
    return run


def junit(report: AuditReport) -> dict[str, ElementTree.Element]:
    """The test cases by name."""
    suite = ElementTree.fromstring(FORMATS["junit"](report)).find("testsuite")
    assert suite is not None
    cases = suite.findall("testcase")
    assert suite.get("tests") == str(len(cases))
    for attribute, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        assert suite.get(attribute) == str(sum(case.find(tag) is not None for case in cases))
    return {str(case.get("name")): case for case in cases}


class Page(HTMLParser):
    """What a browser makes of a page: its elements, their attributes and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes.update(name for name, _ in attrs)

    def handle_data(self, data: str) -> None:
        self.text += data


def test_a_leak_is_a_sarif_result_at_its_line_in_the_dockerfile(leaked: AuditReport) -> None:
    run = sarif(leaked)
    (result,) = run["results"]
    (finding,) = leaked.findings
    rule = run["tool"]["driver"]["rules"][result["ruleIndex"]]
    assert (rule["id"], result["ruleId"], result["level"]) == ("TOKEN/layer", "TOKEN/layer", "error")
    assert result["partialFingerprints"]["primaryLocationLineHash"] == finding.fingerprint
    assert result["suppressions"] == []
    (location,) = result["locations"]
    assert location["physicalLocation"] == {
        "artifactLocation": {"uri": "sub%20dir/Dockerfile"},
        "region": {"startLine": 2},
    }
    assert "layer 0  /etc/leak" in location["logicalLocations"][0]["fullyQualifiedName"]
    (invocation,) = run["invocations"]
    assert invocation["executionSuccessful"] is False
    told = {(item["descriptor"]["id"], item["level"]): item for item in invocation["toolExecutionNotifications"]}
    assert told["unread", "error"]["message"]["text"] == "opt/x.zip: encrypted zip member"
    assert told["unsearched", "error"]["message"]["text"] == "PIN: too short"


def test_without_a_line_a_sarif_result_is_at_the_file_in_the_image(leaked: AuditReport) -> None:
    finding = leaked.findings[0].model_copy(update={"file": None, "line": None, "accepted": True})
    (result,) = sarif(leaked.model_copy(update={"findings": (finding,)}))["results"]
    place = result["locations"][0]["physicalLocation"]
    assert place["artifactLocation"] == {"uri": "etc/leak", "uriBaseId": "IMAGE"}
    assert [item["kind"] for item in result["suppressions"]] == ["external"]


def test_junit_has_a_test_case_for_each_secret(leaked: AuditReport) -> None:
    cases = junit(leaked)
    assert set(cases) == {"TOKEN", "OTHER", "PIN"}
    failure = cases["TOKEN"].find("failure")
    assert failure is not None
    assert "layer 0  /etc/leak" in str(failure.text)
    # It was not found, but not everything was read.
    assert "encrypted zip member" in str(cases["OTHER"].find("error").get("message"))  # type: ignore[union-attr]
    assert "PIN: too short" in str(cases["PIN"].find("error").get("message"))  # type: ignore[union-attr]


def test_what_is_accepted_passes_and_is_noted(accepted: AuditReport) -> None:
    run = sarif(accepted)
    assert run["invocations"][0]["executionSuccessful"] is True
    assert [item["level"] for item in run["invocations"][0]["toolExecutionNotifications"]] == ["note", "note"]
    for name, case in junit(accepted).items():
        assert [child.tag for child in case] == ["system-out"]
        assert "accepted: opt/x.zip: encrypted zip member" in str(case[0].text)
        assert ("accepted: PIN" in str(case[0].text)) == (name == "PIN")
    assert "clean, 2 accepted" in Page(FORMATS["html"](accepted)).text


def test_the_page_says_all_of_it_and_needs_nothing(leaked: AuditReport) -> None:
    page = Page(FORMATS["html"](leaked))
    for text in (
        "LEAKED: ",
        "layer 0  /etc/leak",
        "sub dir/Dockerfile:2",
        "opt/x.zip",
        "encrypted zip member",
        "too short",
    ):
        assert text in page.text
    assert not page.attributes & {"src", "href", "srcset", "action"}
    assert "viewport" in FORMATS["html"](leaked)


@pytest.mark.parametrize("form", FORMATS)
def test_no_format_holds_a_value_even_where_a_name_does(form: str, tmp_path: Path) -> None:
    files = {f"{TOKEN}/x": TOKEN.encode(), "b]]><script>": TOKEN.encode(), "c\x1b[2J\n<b>": TOKEN.encode()}
    text = FORMATS[form](report_on(tmp_path, files))
    assert TOKEN not in text
    assert "\x1b" not in text
    assert "<script>" not in text or form in ("text", "json", "sarif")


names = st.lists(
    st.sampled_from(
        ["]]>", "<script>", "<!--", "&amp;", "](http://x)", "\x00", "\x1b[2J", "\ufffe", "\u2028", "../", "%"]
    )
    | st.text(max_size=5)
).map("".join)


@given(names, names, names, names, names)
def test_any_name_is_shown_and_no_name_is_obeyed(secret: str, path: str, step: str, reason: str, image: str) -> None:
    finding = Finding(
        secret=secret, form="raw", match="full", fraction=1.0, surface="layer", layer=0, path=path, instruction=step,
        file=path, line=3, platform=reason, advice="fix it", fingerprint="f" * 64,
    )  # fmt: skip
    report = EMPTY.model_copy(
        update={
            "image": EMPTY.image.model_copy(update={"reference": image}),
            "secrets": (SearchedSecret(name=secret, searched=True), SearchedSecret(name="OTHER", searched=True)),
            "findings": (finding, finding.model_copy(update={"accepted": True, "line": None})),
            "coverage": EMPTY.coverage.model_copy(update={"unread": (Unread(path=path, reason=reason),)}),
            "warnings": (
                AuditWarning(code="x", message=reason, step=step),
                AuditWarning(
                    code="y",
                    message=reason,
                    path=path,
                    instruction=step,
                    file=path,
                    line=3,
                    platform=reason,
                    advice=step,
                ),
            ),
        }
    )
    check(report)


def check(report: AuditReport) -> None:
    """Every format is well-formed and holds all of the report."""
    assert len(sarif(report)["results"]) == 2
    suite = ElementTree.fromstring(FORMATS["junit"](report))
    tests = 2 + len({warning.code for warning in report.warnings})
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == (str(tests), "1", "1")
    page = Page(FORMATS["html"](report))
    assert page.tags <= ELEMENTS
    assert page.attributes <= {"lang", "charset", "name", "content", "http-equiv", "class"}
    for form in ("sarif", "junit", "html"):
        assert FORMATS[form](report).isascii()


ELEMENTS = set("html head meta title style body h1 h2 h3 p dl dt dd article ul li table tr th td".split())  # noqa: SIM905
EMPTY = AuditReport.model_validate(
    {
        "engine": {"version": "0", "forms": 1, "policy": {}},
        "image": {
            "reference": "a", "digest": "sha256:0", "digest_kind": "index", "platforms": [], "absent_platforms": [],
        },
        "verdict": "leaked",
        "secrets": [],
        "findings": [],
        "coverage": {"blobs": 0, "layers": 0, "files": 0, "bytes": 0, "streams": 0, "truncated": 0, "unread": []},
        "duration_seconds": 0.5,
    }
)  # fmt: skip


def test_names_that_have_no_bytes_are_shown_too() -> None:
    # pydantic lets nobody in with half of a surrogate pair, but a copy can have it.
    finding = Finding(
        secret="S", form="raw", match="full", fraction=1.0, surface="layer", advice="fix", fingerprint="f"
    ).model_copy(update={"path": HOSTILE, "instruction": HOSTILE})
    unread = Unread(reason="x").model_copy(update={"path": HOSTILE})
    check(
        EMPTY.model_copy(
            update={
                "image": EMPTY.image.model_copy(update={"reference": HOSTILE}),
                "secrets": (SearchedSecret(name="S", searched=True), SearchedSecret(name="OTHER", searched=True)),
                "findings": (finding, finding.model_copy(update={"accepted": True})),
                "coverage": EMPTY.coverage.model_copy(update={"unread": (unread,)}),
            }
        )
    )
