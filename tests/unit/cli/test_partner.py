import json


def test_partner_add_sends_what_was_said_and_shows_the_partner(comity, api, alpha):
    api.says("POST", "partners", {"@id": alpha["@id"]})
    done = comity(
        "partner", "add", "https://alpha.example", "--name", "Alpha Works", "--purpose", "repair", "--pin"
    )
    assert api.bodies("POST", "partners") == [
        {"participant": "https://alpha.example", "name": "Alpha Works", "purpose": ["repair"], "pin": True}
    ]
    assert done.out == (
        "added        Alpha Works\n"
        "participant  did:web:alpha.example\n"
        "address      https://alpha.example/dsp/2025-1\n"
        "purpose      repair\n"
        "keys         of its DID\n"
        "\n"
        "next: comity catalog 'Alpha Works'\n"
    )


def test_partner_add_again_says_nothing_of_what_is_not_said(comity, api, alpha):
    api.says("POST", "partners", {"@id": alpha["@id"]})
    comity("partner", "add", "https://alpha.example")
    comity(
        "partner",
        "add",
        "https://alpha.example",
        "--no-pin",
        "--no-signed",
        "--purpose",
        "",
        "--approval",
        "",
    )
    assert api.bodies("POST", "partners") == [
        {"participant": "https://alpha.example"},
        {
            "participant": "https://alpha.example",
            "pin": False,
            "signed": False,
            "purpose": [],
            "approval": {},
        },
    ]


def test_partner_list_is_a_table(comity, api, alpha):
    done = comity("partner", "list")
    assert done.out == (
        "Name         Participant            Keys\nAlpha Works  did:web:alpha.example  of its DID\n"
    )


def test_partner_list_of_nobody_says_what_to_do(comity, api):
    api.says("GET", "partners", [])
    assert comity("partner", "list").out == (
        "no partners yet; put one on the list with: comity partner add <did or url>\n"
    )


def test_partner_list_for_programs_is_the_whole_answer(comity, api, alpha):
    assert json.loads(comity("partner", "list", "--json").out) == [alpha]


def test_partner_is_removed_by_its_name(comity, api, alpha):
    api.says("DELETE", "partners/did%3Aweb%3Aalpha.example", None, status=204)
    done = comity("partner", "remove", "alpha")
    assert (done.code, done.out) == (0, "removed Alpha Works (did:web:alpha.example)\n")


def test_thumbprint_of_a_key_is_shown_to_be_compared(comity, api, alpha, data_folder):
    from comity import settings  # noqa: PLC0415  only here
    from comity.identity import jose  # noqa: PLC0415

    jwk = settings.signing_key(settings.load(data_folder)).public_jwk()
    api.replies.clear()
    api.says("GET", "partners", [{**alpha, "keys": [jwk], "pinned": True}])
    done = comity("partner", "show", "alpha")
    assert "keys         1 key pinned\n" in done.out
    assert f"public key   {jose.thumbprint(jwk)} (thumbprint)\n" in done.out


def test_partner_with_control_characters_in_its_name_is_shown_without_them(comity, api, alpha):
    api.replies.clear()
    api.says("GET", "partners", [{**alpha, "name": "\x1b[31mred[/red]"}])
    assert comity("partner", "list").out.splitlines()[1].startswith("?[31mred[/red]  did:web:alpha.example")


def test_word_that_can_be_no_partner_is_refused_before_the_connector_is_asked(comity, api):
    done = comity("partner", "add", "alpha")
    assert (done.code, api.asked) == (2, [])
    assert "error: alpha is neither a DID nor an address\nhint: give did:web:" in done.err
