from comity.dsp import terms


def test_the_other_side_of_a_role():
    assert terms.other(terms.CONSUMER) == terms.PROVIDER
    assert terms.other(terms.PROVIDER) == terms.CONSUMER
