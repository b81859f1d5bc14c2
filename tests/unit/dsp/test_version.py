import pytest

from comity.dsp import version


def test_a_did_web_participant_is_named_with_its_kind_of_id():
    assert version.document("did:web:a.example") == {
        "protocolVersions": [
            {
                "version": "2025-1",
                "path": "/dsp/2025-1",
                "binding": "HTTPS",
                "identifierType": "did:web",
                "serviceId": "did:web:a.example",
            }
        ]
    }


def test_another_name_has_no_kind():
    assert "identifierType" not in version.document("BPNL1")["protocolVersions"][0]


OLD = "https://w3id.org/dspace/v0.8/"
ANSWERS = {
    "2025-1": ({"protocolVersions": [{"version": "2025-1", "path": "/a", "binding": "HTTPS"}]}, ["2025-1"]),
    "2024-1": ({"protocolVersions": [{"version": "2024/1", "path": "/2024/1"}]}, ["2024-1"]),
    "0.8": ({"protocolVersions": [{"version": "v0.8", "path": "/"}]}, ["0.8"]),
    "with a prefix": (
        {
            "@context": {"dspace": OLD},
            "@type": "dspace:VersionResponse",
            "dspace:protocolVersions": {"@id": "_:b0", "dspace:version": "v0.8", "dspace:path": "/"},
        },
        ["0.8"],
    ),
    "whole names": ({OLD + "protocolVersions": [{OLD + "version": [{"@value": "v0.8"}]}]}, ["0.8"]),
    "typed values": (
        {
            "dspace:protocolVersions": {
                "@list": [{"dspace:version": {"@value": "2024/1", "@type": "xsd:string"}}]
            }
        },
        ["2024-1"],
    ),
    "both": (
        {"protocolVersions": [{"version": "v0.8", "path": "/"}, {"version": "2025-1", "path": "/2025-1"}]},
        ["0.8", "2025-1"],
    ),
    "a number": ({"protocolVersions": [{"version": 0.8, "path": "/"}]}, ["0.8"]),
    "nonsense": ({"protocolVersions": ["2025-1", None, 7, [], {}]}, [""]),
    "no list": ({"protocolVersions": None}, []),
    "nothing": ({}, []),
}


@pytest.mark.parametrize(("answer", "versions"), ANSWERS.values(), ids=ANSWERS)
def test_the_versions_of_an_answer_are_read_in_whatever_form_they_are_written(answer, versions):
    assert [each.version for each in version.read(answer)] == versions


@pytest.mark.parametrize(
    ("text", "normal"),
    [("2025-1", "2025-1"), ("2025/1", "2025-1"), ("v2025-01", "2025-1"), (" 2024/1", "2024-1"), ("v0.8", "0.8"),
     ("2025-0", "2025-0"), ("", ""), ("1.0", "1.0"), ("2025-10", "2025-10")],
)  # fmt: skip
def test_a_version_has_one_spelling(text, normal):
    assert version.normal(text) == normal


def test_an_entry_whose_authentication_is_not_ours_is_the_last_choice_and_still_one():
    def entry(path, **more):
        return version.Entry(version="2025-1", path=path, binding="HTTPS", **more)

    oauth, unnamed = entry("/oauth", auth="oauth"), entry("/plain")
    assert version.choose([oauth, unnamed]) is unnamed
    assert version.choose([oauth]) is oauth
    assert version.choose([entry("/bpn", identifier_type="bpn"), oauth]).path == "/bpn"


@pytest.mark.parametrize(
    "entry",
    [
        version.Entry(version="2024-1", path="/", binding="HTTPS"),
        version.Entry(version="2025-1", path="/", binding="GRPC"),
        version.Entry(version="2025-1", path=None, binding="HTTPS"),
    ],
)
def test_what_is_not_our_version_over_our_binding_is_not_chosen(entry):
    assert version.choose([entry]) is None


def test_what_a_partner_speaks_is_named_once_and_shortly():
    entries = version.read(
        {"protocolVersions": [{"version": f"9999-{n % 20}", "path": "/"} for n in range(500)]}
    )
    assert version.describe(entries).count(",") == 9
    assert version.describe([]) == "no version"
    odd = {"version": "\x1b[31m" + "x" * 900, "path": 3}
    assert version.describe(version.read({"protocolVersions": [odd]})).isprintable()
