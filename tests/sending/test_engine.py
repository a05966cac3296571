"""Every planned row comes to exactly one end, in order, whatever the host does."""

from tests.sending.conftest import Host, run, segment


def test_every_row_is_delivered_once_by_a_host_that_takes_everything():
    """Rows, requests and ends are the same in number, and a success needs one attempt."""
    record = run([segment(100, number=0), segment(50, number=1, first_row=100)])

    assert record.counts == {"delivered": 150}
    assert len(record.host.requests) == 15
    assert sorted(record.host.applied) == list(range(150))
    assert {end.attempts for end in record.ends.values()} == {1}
