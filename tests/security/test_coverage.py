"""Where each threat of the security plan is tested, in one table."""

import ast
from pathlib import Path

import pytest

TESTS = Path(__file__).parent.parent

THREATS = {
    "keys in drawings, errors, logs, files": "security/test_canary.py::test_no_key_leaks",
    "keys in a notebook's traceback": "security/test_canary.py::test_a_notebook_traceback_has_no_key",
    "keys in a client": "sending/test_client.py::test_a_client_is_drawn_without_keys",
    "keys in what a run tells": "sending/test_client.py::test_no_fact_has_a_key",
    "keys where a workspace is read": "security/test_canary.py::test_no_app_key_leaks_where_a_workspace_is_read",
    "keys along with a link": "app_api/test_exports.py::test_the_key_goes_to_the_api_and_not_along_with_a_link",
    "links that lead elsewhere": "app_api/test_exports.py::test_a_link_that_proves_nothing_is_not_followed",
    "signatures in errors": "app_api/test_exports.py::test_a_missing_file_is_an_error",
    "people and links in logs": "app_api/test_people.py::test_logs_name_neither_people_nor_links",
    "people in temporary files": "app_api/test_people.py::test_the_file_is_private_and_gone_afterwards",
    "people in the record": "security/test_canary.py::test_no_person_is_in_the_record",
    "people in rejected rows": "audit/test_pseudonyms.py",
    "formulas in exported rows": "audit/test_csv.py",
    "hosts of somebody else": "test_config.py::test_an_endpoint_that_is_not_plainly_this_machine_is_refused",
    "hosts through connect": "security/test_network.py::test_a_client_cannot_be_led_elsewhere",
    "redirects of a run": "security/test_network.py::test_a_run_follows_no_redirect",
    "redirects of a request": "sending/test_http.py::test_a_redirect_is_not_followed",
    "certificates": "security/test_network.py::test_a_host_must_prove_who_it_is",
    "proxies on this machine": "sending/test_http.py::test_a_proxy_of_the_environment_is_not_used_for_this_machine",
    "form ids that are paths": "security/test_paths.py::test_a_form_id_stays_within_its_segment",
    "records that are links": "security/test_paths.py::test_a_record_that_was_tampered_with_is_not_written_to",
    "compressed bombs in answers": "sending/test_http.py::test_a_compressed_bomb_is_not_inflated",
    "endless answers": "sending/test_http.py::test_an_endless_answer_is_not_read_to_its_end",
    "DNS rebinding": "sandbox/test_guard.py::test_host_must_be_the_literal_loopback_address",
    "web pages that post": "sandbox/test_guard.py::test_origin_must_be_the_server_itself",
    "slow senders": "sandbox/test_guard.py::test_200_slow_connections_do_not_block",
    "scripts in what is drawn": "views/test_html.py",
    "unsafe ways of writing the package": "security/test_source.py::test_the_package_keeps_the_rule",
}


@pytest.mark.parametrize("place", list(THREATS.values()), ids=list(THREATS))
def test_each_threat_has_its_test(place):
    """The file is there, and so is the test that is named."""
    path, _, name = place.partition("::")
    tree = ast.parse((TESTS / path).read_text())
    functions = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}

    assert name in functions if name else functions
