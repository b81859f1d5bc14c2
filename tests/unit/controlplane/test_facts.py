"""What policies may ask: counted, looked up and stated facts, as they are at the moment of the question."""

import pytest

from comity import errors
from comity.controlplane import facts, licences, offering
from comity.db import licences as rows
from comity.db.partners import Partner
from comity.management.licences import LicenceForm
from support.bench import THEM

DAY_MS = 24 * 3600 * 1000


def policy(operand, *values, operator="isAnyOf"):
    constraint = {"leftOperand": operand, "operator": operator, "rightOperand": list(values)}
    return {"permission": [{"action": "use", "constraint": [constraint]}]}


def partner(**attributes):
    return Partner(id=THEM, name="", address="", keys=[], pinned=False, attributes=attributes, created_at=0)


def test_a_stated_purpose_narrows_what_we_hold_the_partner_to_have_and_never_widens_it():
    them = partner(purpose=["repair", "assembly"])
    assert facts.of(them, 0)["purpose"] == ("repair", "assembly")
    assert facts.of(them, 0, purpose="repair")["purpose"] == ("repair",)
    assert "purpose" not in facts.of(them, 0, purpose="sale")
    assert "purpose" not in facts.of(partner(), 0, purpose="repair")


class TestLicences:
    async def known(self, bench, terms, **more):
        async def unit(tx):
            return await offering.facts_of_use(tx, partner(), "asset", terms, bench.now_ms, **more)

        return (await bench.database.read(unit)).get(facts.LICENCE)

    async def put(self, bench, number, quantity=2, unit="transfer", days=1):
        form = LicenceForm(number, quantity, unit, bench.now_ms + days * DAY_MS)
        return await licences.put(bench.connector, form)

    async def use(self, bench, number, amount=1):
        taken = rows.Use(
            number=number,
            transfer_id="t",
            agreement_id="g",
            counterparty_id=THEM,
            asset_id="asset",
            amount=amount,
            at=bench.now_ms,
        )
        sql = "UPDATE licence SET used = used + ?2 WHERE number = ?1"
        await bench.database.write(lambda tx: tx.run(sql, taken.number, taken.amount))

    async def test_only_a_licence_that_is_written_down_valid_and_not_used_up_is_a_fact(self, bench):
        for number, days in (("L-1", 1), ("L-over", -1)):
            await self.put(bench, number, days=days)
        terms = policy(facts.LICENCE, "L-1", "L-over", "L-unknown")
        assert await self.known(bench, terms) == ("L-1",)
        await self.use(bench, "L-1", 2)
        assert await self.known(bench, terms) is None
        assert await self.known(bench, terms, begun=True) == ("L-1",)

    async def test_what_was_used_is_neither_forgotten_nor_counted_in_another_unit(self, bench):
        await self.put(bench, "L-1")
        await self.use(bench, "L-1", 2)
        for wrong in ({"quantity": 1}, {"quantity": 5, "unit": "file"}):
            with pytest.raises(errors.ConflictError):
                await self.put(bench, "L-1", **wrong)
        changed = await self.put(bench, "L-1", quantity=3)
        assert (changed.quantity, changed.used) == (3, 2)
        assert await self.known(bench, policy(facts.LICENCE, "L-1")) == ("L-1",)


def test_the_licences_that_count_are_those_that_a_permission_asks_for():
    terms = offering.parse(
        {**policy(facts.LICENCE, "A", "B"), "prohibition": policy(facts.LICENCE, "C")["permission"]}
    )
    asked = facts.named(terms, facts.LICENCE, rules="permission", operators=facts.NAMING)
    assert asked == {"A", "B"}
    without = offering.parse(policy(facts.LICENCE, "A", operator="isNoneOf"))
    assert not facts.named(without, facts.LICENCE, rules="permission", operators=facts.NAMING)
