"""The table of the management API: EDC's paths, and our own beside them.

Creations answer 200 with an IdResponse, changes and moves 204: EDC's clients count on it. Keys, Idempotency-Key,
versions, the OpenAPI document and a test of every endpoint with every role are all made from this table.
"""

from __future__ import annotations

from comity.api.management import (
    apikeys,
    approvals,
    bundles,
    carries,
    checkpoints,
    dataplanes,
    deletions,
    discovery,
    edrs,
    events,
    frameworks,
    identity,
    inquiries,
    licences,
    offers,
    partners,
    policies,
    processes,
    readings,
    received,
    retirements,
    revisions,
    secrets,
)
from comity.api.management.call import Row
from comity.api.management.paths import Key
from comity.controlplane import decide
from comity.db import frameworks as framework_rows
from comity.db.exchanges import Exchange
from comity.db.inquiries import Inquiry
from comity.db.offers import Asset, ContractDefinition, PolicyDefinition
from comity.db.partners import Partner
from comity.db.secrets import Secret
from comity.db.webhooks import Webhook
from comity.dsp.negotiation import Negotiation
from comity.dsp.transfer import Transfer
from comity.management.roles import ADMIN, APPROVER, OPERATOR, VIEWER

# To add an endpoint: write a function that decodes, calls one use case and encodes; give it a row here and one in
# docs/reference/management-api.md. A row has, in order:
#   the function
#   the role that it needs: VIEWER reads, which includes queries by POST; APPROVER decides where its name is asked for;
#     OPERATOR changes what is offered and moves processes; ADMIN decides who may: partners, keys, secrets
#   the forms of the body and of the answer by their names in `management.forms`; a list is "[Asset]", nothing is ""
#     (and the answer then 204)
#   the statuses of its own errors
# and by name, where they apply:
#   creates     the type of the record that its creating unit of work returns, with `id` and `created_at`: such POSTs
#               take an Idempotency-Key
#   versions    the versions of the API that have it, if not all
#   parameters  the query parameters by their names in `management.forms`
ENDPOINTS: dict[Key, Row] = {
    ("POST", "assets", ""): Row(
        offers.create_asset, OPERATOR, "Asset", "IdResponse", "400 409 422", creates=Asset
    ),
    ("PUT", "assets", ""): Row(offers.change_asset, OPERATOR, "Asset", "", "400 404 422"),
    ("POST", "assets", "request"): Row(offers.find_assets, VIEWER, "QuerySpec", "[Asset]", "400"),
    ("GET", "assets", "{id}"): Row(offers.load(Asset), VIEWER, "", "Asset", "404"),
    ("DELETE", "assets", "{id}"): Row(offers.remove(Asset), OPERATOR, "", "", "404 409"),
    ("POST", "policydefinitions", ""): Row(
        offers.create_policy, OPERATOR, "PolicyDefinition", "IdResponse", "400 409", creates=PolicyDefinition
    ),
    ("PUT", "policydefinitions", ""): Row(offers.change_policy, OPERATOR, "PolicyDefinition", "", "400 404"),
    ("PUT", "policydefinitions", "{id}"): Row(
        offers.change_policy, OPERATOR, "PolicyDefinition", "", "400 404"
    ),
    ("POST", "policydefinitions", "request"): Row(
        offers.find_policies, VIEWER, "QuerySpec", "[PolicyDefinition]", "400"
    ),
    ("GET", "policydefinitions", "{id}"): Row(
        offers.load(PolicyDefinition), VIEWER, "", "PolicyDefinition", "404"
    ),
    ("DELETE", "policydefinitions", "{id}"): Row(
        offers.remove(PolicyDefinition), OPERATOR, "", "", "404 409"
    ),
    ("POST", "policydefinitions", "{id}/validate"): Row(
        policies.validate, VIEWER, "", "PolicyValidationResult", "404"
    ),
    ("POST", "policydefinitions", "{id}/evaluationplan"): Row(
        policies.plan, VIEWER, "PolicyEvaluationPlanRequest", "PolicyEvaluationPlan", "400 404"
    ),
    ("POST", "policydefinitions", "explain"): Row(
        policies.explain, VIEWER, "PolicyQuestion", "PolicyExplanation", "400 404"
    ),
    ("POST", "policydefinitions", "simulate"): Row(
        policies.simulate, VIEWER, "PolicySupposition", "PolicySimulation", "400 404"
    ),
    ("POST", "contractdefinitions", ""): Row(
        offers.create_contract,
        OPERATOR,
        "ContractDefinition",
        "IdResponse",
        "400 409",
        creates=ContractDefinition,
    ),
    ("PUT", "contractdefinitions", ""): Row(
        offers.change_contract, OPERATOR, "ContractDefinition", "", "400 404"
    ),
    ("POST", "contractdefinitions", "request"): Row(
        offers.find_contracts, VIEWER, "QuerySpec", "[ContractDefinition]", "400"
    ),
    ("GET", "contractdefinitions", "{id}"): Row(
        offers.load(ContractDefinition), VIEWER, "", "ContractDefinition", "404"
    ),
    ("DELETE", "contractdefinitions", "{id}"): Row(
        offers.remove(ContractDefinition), OPERATOR, "", "", "404"
    ),
    ("POST", "approvals", "request"): Row(approvals.find, VIEWER, "QuerySpec", "[Approval]", "400"),
    ("GET", "approvals", "{id}"): Row(approvals.load, VIEWER, "", "Approval", "404"),
    ("POST", "approvals", "{id}/approve"): Row(
        approvals.settle(approved=True), APPROVER, "ApprovalDecision", "Approval", "400 403 404 409"
    ),
    ("POST", "approvals", "{id}/refuse"): Row(
        approvals.settle(approved=False), APPROVER, "ApprovalDecision", "Approval", "400 403 404 409"
    ),
    ("POST", "catalog", "request"): Row(
        partners.request_catalog, VIEWER, "CatalogRequest", "Catalog", "400 404 502"
    ),
    ("POST", "catalog", "dataset/request"): Row(
        partners.request_dataset, VIEWER, "DatasetRequest", "Dataset", "400 404 502"
    ),
    ("POST", "catalogs", "request"): Row(
        partners.request_catalogs, VIEWER, "QuerySpec", "[Catalog]", "400", parameters=("flatten",)
    ),
    ("POST", "contractnegotiations", ""): Row(
        processes.request_contract, OPERATOR, "ContractRequest", "IdResponse", "400 404", creates=Negotiation
    ),
    ("POST", "contractnegotiations", "request"): Row(
        processes.find_negotiations, VIEWER, "QuerySpec", "[ContractNegotiation]", "400"
    ),
    ("POST", "contractnegotiations", "offers"): Row(
        processes.offer_contract, OPERATOR, "ContractOffer", "IdResponse", "400 404", creates=Negotiation
    ),
    ("GET", "contractnegotiations", "{id}"): Row(
        processes.load_negotiation, VIEWER, "", "ContractNegotiation", "404"
    ),
    ("DELETE", "contractnegotiations", "{id}"): Row(
        processes.remove_negotiation, OPERATOR, "", "", "404 409"
    ),
    ("GET", "contractnegotiations", "{id}/state"): Row(
        processes.negotiation_state, VIEWER, "", "NegotiationState", "404"
    ),
    ("GET", "contractnegotiations", "{id}/agreement"): Row(
        processes.negotiation_agreement, VIEWER, "", "ContractAgreement", "404"
    ),
    ("POST", "contractnegotiations", "{id}/terminate"): Row(
        processes.move_negotiation(decide.TERMINATE), OPERATOR, "TerminateNegotiation", "", "400 404 409"
    ),
    ("POST", "contractnegotiations", "{id}/accept"): Row(
        processes.move_negotiation(decide.ACCEPT), OPERATOR, "", "", "400 404 409"
    ),
    ("POST", "contractnegotiations", "{id}/offer"): Row(
        processes.move_negotiation(decide.OFFER), OPERATOR, "CounterOffer", "", "400 404 409"
    ),
    ("POST", "contractnegotiations", "{id}/request"): Row(
        processes.move_negotiation(decide.REQUEST), OPERATOR, "CounterOffer", "", "400 404 409"
    ),
    ("POST", "contractnegotiations", "{id}/agree"): Row(
        processes.move_negotiation(decide.AGREE), OPERATOR, "", "", "400 404 409"
    ),
    ("POST", "contractnegotiations", "{id}/verify"): Row(
        processes.move_negotiation(decide.VERIFY), OPERATOR, "", "", "400 404 409"
    ),
    ("POST", "contractnegotiations", "{id}/finalize"): Row(
        processes.move_negotiation(decide.FINALIZE), OPERATOR, "", "", "400 404 409"
    ),
    ("POST", "contractagreements", "request"): Row(
        processes.find_agreements, VIEWER, "QuerySpec", "[ContractAgreement]", "400"
    ),
    ("POST", "contractagreements", "retirements"): Row(
        retirements.retire, OPERATOR, "AgreementsRetirementEntry", "", "400 404 409"
    ),
    ("POST", "contractagreements", "retirements/request"): Row(
        retirements.find, VIEWER, "QuerySpec", "[AgreementsRetirementEntry]", "400"
    ),
    ("DELETE", "contractagreements", "retirements/{id}"): Row(
        retirements.reactivate, OPERATOR, "", "", "404 409"
    ),
    ("GET", "contractagreements", "{id}"): Row(
        processes.load_agreement, VIEWER, "", "ContractAgreement", "404 409"
    ),
    ("GET", "contractagreements", "{id}/negotiation"): Row(
        processes.agreement_negotiation, VIEWER, "", "ContractNegotiation", "404 409"
    ),
    ("POST", "contractagreements", "{id}/evidence"): Row(
        bundles.export_evidence, OPERATOR, "", "EvidenceBundle", "404 409"
    ),
    ("POST", "transferprocesses", ""): Row(
        processes.request_transfer,
        OPERATOR,
        "TransferRequest",
        "IdResponse",
        "400 404 409 422",
        creates=Transfer,
    ),
    ("POST", "transferprocesses", "request"): Row(
        processes.find_transfers, VIEWER, "QuerySpec", "[TransferProcess]", "400"
    ),
    ("GET", "transferprocesses", "{id}"): Row(processes.load_transfer, VIEWER, "", "TransferProcess", "404"),
    ("GET", "transferprocesses", "{id}/state"): Row(
        processes.transfer_state, VIEWER, "", "TransferState", "404"
    ),
    ("POST", "transferprocesses", "{id}/terminate"): Row(
        processes.move_transfer(decide.TERMINATE), OPERATOR, "TerminateTransfer", "", "400 404 409"
    ),
    ("POST", "transferprocesses", "{id}/suspend"): Row(
        processes.move_transfer(decide.SUSPEND), OPERATOR, "SuspendTransfer", "", "400 404 409"
    ),
    ("POST", "transferprocesses", "{id}/resume"): Row(
        processes.move_transfer(decide.START), OPERATOR, "", "", "400 403 404 409"
    ),
    ("POST", "transferprocesses", "{id}/complete"): Row(
        processes.move_transfer(decide.COMPLETE), OPERATOR, "", "", "400 404 409"
    ),
    ("POST", "transferprocesses", "{id}/deprovision"): Row(
        processes.deprovision, OPERATOR, "", "", "404 409"
    ),
    ("POST", "edrs", ""): Row(
        edrs.negotiate, OPERATOR, "ContractRequest", "IdResponse", "400 404", creates=Negotiation
    ),
    ("POST", "edrs", "request"): Row(edrs.find, VIEWER, "QuerySpec", "[EndpointDataReferenceEntry]", "400"),
    ("GET", "edrs", "{id}/dataaddress"): Row(
        edrs.data_address, OPERATOR, "", "DataAddress", "400 404 502", parameters=("auto_refresh",)
    ),
    ("POST", "edrs", "{id}/refresh"): Row(edrs.refresh, OPERATOR, "", "DataAddress", "404 502"),
    ("DELETE", "edrs", "{id}"): Row(edrs.forget, OPERATOR, "", "", "404 409"),
    ("POST", "secrets", ""): Row(secrets.create, ADMIN, "Secret", "IdResponse", "400 409", creates=Secret),
    ("PUT", "secrets", ""): Row(secrets.change, ADMIN, "Secret", "", "400 404"),
    ("GET", "secrets", "{id}"): Row(secrets.load, ADMIN, "", "Secret", "404"),
    ("DELETE", "secrets", "{id}"): Row(secrets.remove, ADMIN, "", "", "404"),
    ("GET", "dataplanes", ""): Row(dataplanes.find, VIEWER, "", "[DataPlaneInstance]", ""),
    ("PUT", "dataplanes", ""): Row(dataplanes.register, ADMIN, "DataPlaneInstance", "", "400"),
    ("DELETE", "dataplanes", "{id}"): Row(dataplanes.remove, ADMIN, "", "", "404 409"),
    ("POST", "connectordiscovery", "dspversionparams"): Row(
        discovery.find_one, OPERATOR, "ConnectorParamsDiscoveryRequest", "ConnectorParams", "400 502"
    ),
    ("POST", "connectordiscovery", "connectors"): Row(
        discovery.find_all,
        OPERATOR,
        "ConnectorServiceDiscoveryRequest",
        "[ConnectorParams]",
        "400 404 422 502",
    ),
    ("POST", "protocol-versions", "request"): Row(
        discovery.find_versions, OPERATOR, "ProtocolVersionsRequest", "ProtocolVersions", "400 502"
    ),
    ("POST", "partners", ""): Row(
        partners.add_partner, ADMIN, "NewPartner", "Partner", "400 422 502", creates=Partner
    ),
    ("GET", "partners", ""): Row(partners.find_partners, VIEWER, "", "[Partner]", ""),
    ("DELETE", "partners", "{id}"): Row(partners.remove_partner, ADMIN, "", "", "404"),
    ("POST", "licences", ""): Row(licences.put, ADMIN, "NewLicence", "Licence", "400 409"),
    ("GET", "licences", ""): Row(licences.find, VIEWER, "", "[Licence]", ""),
    ("GET", "licences", "{id}"): Row(licences.load, VIEWER, "", "Licence", "404"),
    ("POST", "packages", ""): Row(
        offers.publish_package, OPERATOR, "NewPackage", "Package", "400 403 404 409 422", creates=Asset
    ),
    ("GET", "packages", "publishing"): Row(offers.find_publishing, VIEWER, "", "[Publishing]", ""),
    ("POST", "frameworks", ""): Row(
        frameworks.propose, OPERATOR, "NewFramework", "FrameworkAgreement", "400 404 422"
    ),
    ("GET", "frameworks", ""): Row(frameworks.find, VIEWER, "", "[FrameworkAgreement]", ""),
    ("POST", "frameworks", "offered"): Row(
        frameworks.offered, OPERATOR, "FrameworkRequest", "OfferedFramework", "400 404 502"
    ),
    ("GET", "frameworks", "{id}"): Row(frameworks.load, VIEWER, "", "FrameworkAgreement", "404 409"),
    ("POST", "frameworks", "sign"): Row(
        frameworks.sign,
        OPERATOR,
        "FrameworkSigning",
        "IdResponse",
        "400 403 404 409 502",
        creates=Negotiation,
    ),
    ("POST", "frameworks", "{id}/suspend"): Row(
        frameworks.change(framework_rows.SUSPENDED), OPERATOR, "FrameworkChange", "", "400 404 409"
    ),
    ("POST", "frameworks", "{id}/resume"): Row(
        frameworks.change(framework_rows.AGREED), OPERATOR, "", "", "400 404 409"
    ),
    ("POST", "frameworks", "{id}/end"): Row(
        frameworks.change(framework_rows.ENDED), OPERATOR, "FrameworkChange", "", "400 404 409"
    ),
    ("POST", "frameworks", "deliveries"): Row(
        frameworks.deliver,
        OPERATOR,
        "FrameworkDelivery",
        "IdResponse",
        "400 404 409",
        creates=framework_rows.Delivery,
    ),
    ("POST", "frameworks", "{id}/confirm"): Row(
        frameworks.confirm, OPERATOR, "FrameworkConfirmation", "", "400 404 409"
    ),
    ("POST", "frameworks", "{id}/signatures"): Row(
        frameworks.attach, OPERATOR, "FrameworkSignatureFile", "FrameworkSignature", "400 404 409"
    ),
    ("POST", "inquiries", ""): Row(
        inquiries.ask, OPERATOR, "NewInquiry", "IdResponse", "400 404 409", creates=Inquiry
    ),
    ("POST", "inquiries", "request"): Row(inquiries.find, VIEWER, "QuerySpec", "[Inquiry]", "400"),
    ("GET", "inquiries", "{id}"): Row(inquiries.load, VIEWER, "", "Inquiry", "404"),
    ("POST", "inquiries", "{id}/say"): Row(inquiries.say, OPERATOR, "InquiryText", "Inquiry", "400 404 409"),
    ("POST", "inquiries", "{id}/answer"): Row(
        inquiries.answer, APPROVER, "InquiryText", "Inquiry", "400 403 404 409"
    ),
    ("POST", "inquiries", "{id}/grant"): Row(
        inquiries.grant, APPROVER, "InquiryGrant", "Inquiry", "400 403 404 409"
    ),
    ("POST", "inquiries", "{id}/refuse"): Row(
        inquiries.refuse, APPROVER, "InquiryText", "Inquiry", "400 403 404 409"
    ),
    ("POST", "inquiries", "{id}/revoke"): Row(
        inquiries.revoke, APPROVER, "InquiryText", "Inquiry", "400 403 404 409"
    ),
    ("POST", "inquiries", "{id}/withdraw"): Row(
        inquiries.withdraw, OPERATOR, "InquiryWithdrawal", "Inquiry", "400 404 409"
    ),
    ("POST", "exchanges", ""): Row(
        partners.start_exchange, OPERATOR, "NewExchange", "IdResponse", "400 404 422 502", creates=Exchange
    ),
    ("POST", "exchanges", "request"): Row(partners.find_exchanges, VIEWER, "QuerySpec", "[Exchange]", "400"),
    ("GET", "exchanges", "{id}"): Row(partners.load_exchange, VIEWER, "", "Exchange", "404"),
    ("POST", "deletions", ""): Row(
        deletions.delete, OPERATOR, "DeletionOrder", "[Deletion]", "400 404 409 422"
    ),
    ("POST", "deletions", "request"): Row(deletions.find, VIEWER, "QuerySpec", "[Deletion]", "400"),
    ("POST", "receipts", "request"): Row(deletions.find_receipts, VIEWER, "QuerySpec", "[Receipt]", "400"),
    ("POST", "carries", "write"): Row(
        carries.write, OPERATOR, "CarryWriting", "CarriedPackage", "400 403 404 409 422"
    ),
    ("POST", "carries", "take"): Row(carries.take, OPERATOR, "CarryTaking", "[Carried]", "400 422"),
    ("POST", "carries", "receipts"): Row(
        carries.read_receipts, OPERATOR, "CarryMedium", "[Carried]", "400 422"
    ),
    ("POST", "readings", ""): Row(
        readings.start, OPERATOR, "NewReading", "Reading", "400 403 404 409 422 502"
    ),
    ("POST", "readings", "request"): Row(readings.find, VIEWER, "QuerySpec", "[Reading]", "400"),
    ("GET", "readings", "{id}"): Row(readings.load, VIEWER, "", "Reading", "404"),
    ("DELETE", "readings", "{id}"): Row(readings.end, OPERATOR, "", "", "404 409"),
    ("GET", "readings", "{id}/manifest"): Row(
        readings.load_manifest, OPERATOR, "", "PackageManifest", "403 404 502"
    ),
    ("GET", "readings", "{id}/files"): Row(readings.find_files, OPERATOR, "", "[FileEntry]", "403 404 502"),
    ("GET", "readings", "{id}/files/{path}"): Row(
        readings.read, OPERATOR, "", "FileBytes", "403 404 409 412 416 502"
    ),
    ("HEAD", "readings", "{id}/files/{path}"): Row(
        readings.read, OPERATOR, "", "FileBytes", "403 404 409 412 502"
    ),
    ("GET", "received", ""): Row(received.find, VIEWER, "", "[Received]", "", parameters=("transferId",)),
    ("POST", "received", "{id}/open"): Row(received.open_, OPERATOR, "Access", "Received", "400 403 404"),
    ("GET", "received", "store"): Row(received.store, VIEWER, "", "ReceivedStore", "422"),
    ("GET", "received", "{id}/files"): Row(received.files, VIEWER, "", "[FileEntry]", "403 404 409"),
    ("GET", "received", "{id}/files/{path}"): Row(
        received.read_file,
        OPERATOR,
        "",
        "FileBytes",
        "403 404 409 422",
        parameters=("purpose", "person", "nationality", "export"),
    ),
    ("HEAD", "received", "{id}/files/{path}"): Row(
        received.read_file,
        OPERATOR,
        "",
        "FileBytes",
        "403 404 409 422",
        parameters=("purpose", "person", "nationality", "export"),
    ),
    ("POST", "received", "{id}/export"): Row(
        received.export, OPERATOR, "ReceivedExport", "Received", "400 403 404 409 422"
    ),
    ("POST", "received", "{id}/check"): Row(received.check, OPERATOR, "", "ReceivedCheck", "404 409"),
    ("POST", "received", "{id}/attest"): Row(received.attest, OPERATOR, "Attestation", "Received", "400 404"),
    ("GET", "revisions", ""): Row(
        revisions.find_last, VIEWER, "", "[Revision]", "", parameters=("counterPartyId",)
    ),
    ("GET", "revisions", "{id}"): Row(
        revisions.find, VIEWER, "", "[Revision]", "400 404", parameters=("counterPartyId", "revision")
    ),
    ("GET", "revisions", "{id}/manifest"): Row(
        revisions.load_manifest, VIEWER, "", "RevisionManifest", "400 404", parameters=("revision",)
    ),
    ("GET", "revisions", "{id}/changes"): Row(
        revisions.find_changes,
        VIEWER,
        "",
        "RevisionChanges",
        "400 404",
        parameters=("revision", "since", "counterPartyId"),
    ),
    ("POST", "revisions", "applies"): Row(
        revisions.applies, VIEWER, "RevisionQuestion", "RevisionAnswer", "400 404"
    ),
    ("POST", "revisions", "{id}/recall"): Row(
        revisions.recall, OPERATOR, "RevisionRecall", "", "400 404 409"
    ),
    ("GET", "evidence", ""): Row(
        partners.find_evidence, VIEWER, "", "EvidencePage", "400", parameters=("after", "limit", "chain")
    ),
    ("GET", "evidence", "checkpoints"): Row(
        checkpoints.find, VIEWER, "", "Checkpoints", "400", parameters=("limit",)
    ),
    ("POST", "evidence", "checkpoints"): Row(checkpoints.make, OPERATOR, "", "Checkpoints", ""),
    ("POST", "evidence", "compare"): Row(
        checkpoints.compare, OPERATOR, "ForeignCheckpoint", "Comparison", "400"
    ),
    ("POST", "evidence", "{id}/acknowledge"): Row(checkpoints.acknowledge, OPERATOR, "", "", "404 409"),
    ("GET", "events", ""): Row(
        events.read_events,
        VIEWER,
        "",
        "EventPage",
        "400 404 429",
        parameters=("after", "limit", "processId", "types"),
    ),
    ("POST", "webhooks", ""): Row(
        events.create_webhook, ADMIN, "NewWebhook", "IdResponse", "400", creates=Webhook
    ),
    ("GET", "webhooks", ""): Row(
        events.find_webhooks, VIEWER, "", "[Webhook]", "400", parameters=("processId",)
    ),
    ("GET", "webhooks", "{id}"): Row(events.load_webhook, VIEWER, "", "Webhook", "404"),
    ("DELETE", "webhooks", "{id}"): Row(events.remove_webhook, ADMIN, "", "", "404"),
    ("GET", "identity", ""): Row(identity.show, VIEWER, "", "Identity", ""),
    ("POST", "identity", "rotate"): Row(identity.rotate, ADMIN, "KeyRotation", "Identity", "400 409 422"),
    ("DELETE", "identity", "{id}"): Row(identity.retire, ADMIN, "", "", "404 422"),
    ("POST", "apikeys", ""): Row(apikeys.create_key, ADMIN, "NewApiKey", "ApiKey", "400 409"),
    ("GET", "apikeys", ""): Row(apikeys.find_keys, ADMIN, "", "[ApiKey]", ""),
    ("DELETE", "apikeys", "{id}"): Row(apikeys.remove_key, ADMIN, "", "", "404"),
}
"""Method, noun, rest of the path -> endpoint."""
