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
