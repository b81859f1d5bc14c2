"""The table of the management API: EDC's paths, and our own beside them.

Creations answer 200 with an IdResponse, changes and moves 204: EDC's clients count on it. To add an endpoint, write a
function that decodes, calls one use case and encodes, and give it a row.
"""

from __future__ import annotations

from comity.api.management import offers, partners, processes
from comity.api.management.call import Endpoint
from comity.api.management.paths import Key
from comity.controlplane import decide
from comity.db.offers import Asset, ContractDefinition, PolicyDefinition

ENDPOINTS: dict[Key, Endpoint] = {
    ("POST", "assets", ""): offers.create_asset,
    ("PUT", "assets", ""): offers.change_asset,
    ("POST", "assets", "request"): offers.find_assets,
    ("GET", "assets", "{id}"): offers.load(Asset),
    ("DELETE", "assets", "{id}"): offers.remove(Asset),
    ("POST", "policydefinitions", ""): offers.create_policy,
    ("PUT", "policydefinitions", ""): offers.change_policy,
    ("PUT", "policydefinitions", "{id}"): offers.change_policy,
    ("POST", "policydefinitions", "request"): offers.find_policies,
    ("GET", "policydefinitions", "{id}"): offers.load(PolicyDefinition),
    ("DELETE", "policydefinitions", "{id}"): offers.remove(PolicyDefinition),
    ("POST", "contractdefinitions", ""): offers.create_contract,
    ("PUT", "contractdefinitions", ""): offers.change_contract,
    ("POST", "contractdefinitions", "request"): offers.find_contracts,
    ("GET", "contractdefinitions", "{id}"): offers.load(ContractDefinition),
    ("DELETE", "contractdefinitions", "{id}"): offers.remove(ContractDefinition),
    ("POST", "catalog", "request"): partners.request_catalog,
    ("POST", "catalog", "dataset/request"): partners.request_dataset,
    ("POST", "contractnegotiations", ""): processes.request_contract,
    ("POST", "contractnegotiations", "request"): processes.find_negotiations,
    ("POST", "contractnegotiations", "offers"): processes.offer_contract,
    ("GET", "contractnegotiations", "{id}"): processes.load_negotiation,
    ("GET", "contractnegotiations", "{id}/state"): processes.negotiation_state,
    ("GET", "contractnegotiations", "{id}/agreement"): processes.negotiation_agreement,
    ("POST", "contractnegotiations", "{id}/terminate"): processes.move_negotiation(decide.TERMINATE),
    ("POST", "contractnegotiations", "{id}/accept"): processes.move_negotiation(decide.ACCEPT),
    ("POST", "contractnegotiations", "{id}/offer"): processes.move_negotiation(decide.OFFER),
    ("POST", "contractnegotiations", "{id}/request"): processes.move_negotiation(decide.REQUEST),
    ("POST", "contractnegotiations", "{id}/agree"): processes.move_negotiation(decide.AGREE),
    ("POST", "contractnegotiations", "{id}/verify"): processes.move_negotiation(decide.VERIFY),
    ("POST", "contractnegotiations", "{id}/finalize"): processes.move_negotiation(decide.FINALIZE),
    ("POST", "contractagreements", "request"): processes.find_agreements,
    ("GET", "contractagreements", "{id}"): processes.load_agreement,
    ("GET", "contractagreements", "{id}/negotiation"): processes.agreement_negotiation,
    ("POST", "transferprocesses", ""): processes.request_transfer,
    ("POST", "transferprocesses", "request"): processes.find_transfers,
    ("GET", "transferprocesses", "{id}"): processes.load_transfer,
    ("GET", "transferprocesses", "{id}/state"): processes.transfer_state,
    ("POST", "transferprocesses", "{id}/terminate"): processes.move_transfer(decide.TERMINATE),
    ("POST", "transferprocesses", "{id}/suspend"): processes.move_transfer(decide.SUSPEND),
    ("POST", "transferprocesses", "{id}/resume"): processes.move_transfer(decide.START),
    ("POST", "transferprocesses", "{id}/complete"): processes.move_transfer(decide.COMPLETE),
    ("GET", "edrs", "{id}/dataaddress"): processes.data_address,
    ("POST", "partners", ""): partners.add_partner,
    ("GET", "partners", ""): partners.find_partners,
    ("DELETE", "partners", "{id}"): partners.remove_partner,
    ("POST", "packages", ""): offers.publish_package,
    ("POST", "exchanges", ""): partners.start_exchange,
    ("POST", "exchanges", "request"): partners.find_exchanges,
    ("GET", "exchanges", "{id}"): partners.load_exchange,
    ("GET", "evidence", ""): partners.find_evidence,
}
"""Method, noun, rest of the path -> endpoint."""
