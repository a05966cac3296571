"""Keys stay hidden, and no host but Customer.io's and this machine's is sent to."""

import copy
import pickle
import traceback
from dataclasses import asdict

import pytest

from cio_frames.config import Credentials, SecretKey, base_url, credentials
from cio_frames.errors import ConfigError, EndpointError

CANARY = "CANARYk3yN3v3rSh0wn"

HOSTILE = [
    "https://cdp.customer.io",
    "http://cdp.customer.io",
    "https://cdp-eu.customer.io",
    "https://track.customer.io",
    "https://cdp.customer.io:443",
    "https://cdp.customer.io.",
    "https://evilcustomer.io",
    "https://cdp.customer.io.evil.tld",
    "https://cdp.customer.io@evil.tld",
    "https://cdp.customer.io%2eevil.tld",
    "https://cdp.customer.io%00.evil.tld",
    "https://cdp.customer.io\\@evil.tld",
    "https://evil.tld/cdp.customer.io",
    "https://evil.tld#cdp.customer.io",
    "https://evil.tld?cdp.customer.io",
    "https://cdp\u3002customer\u3002io",
    "https://\u0441dp.customer.io",
    "https://xn--dp-7lc.customer.io",
    "https://127.0.0.1:8099",
    "https://localhost:8099",
    "http://127.0.0.1",
    "http://localhost",
    "http://[::1]",
    "http://127.0.0.1:",
    "http://127.0.0.1:0",
    "http://127.0.0.1:65536",
    "http://127.0.0.1:-1",
    "http://127.0.0.1:+80",
    "http://127.0.0.1:08099",
    "http://127.0.0.1:8_099",
    "http://127.0.0.1:\uff18\uff10\uff19\uff19",
    "http://127.0.0.1:80 ",
    " http://127.0.0.1:80",
    "http://127.0.0.1:80\n",
    "http://127.0\n.0.1:80",
    "http://127.0.0.1\t:80",
    "http://127.0.0.1:80\x00",
    "http://127.0.0.1.:80",
    "http://localhost.:80",
    "http://LOCALHOST:80",
    "HTTP://localhost:80",
    "http://localhost.evil.tld:80",
    "http://127.0.0.1.evil.tld:80",
    "http://127.attacker.example:80",
    "http://127.0.0.1@evil.tld:80",
    "http://evil.tld@127.0.0.1:80",
    "http://user:word@127.0.0.1:80",
    "http://@127.0.0.1:80",
    "http://127.0.0.1:80@evil.tld",
    "http://127.0.0.1:80\\@evil.tld",
    "http://127.0.0.1\\.evil.tld:80",
    "http:\\\\127.0.0.1:80",
    "http:/127.0.0.1:80",
    "http:127.0.0.1:80",
    "//127.0.0.1:80",
    "127.0.0.1:80",
    "localhost:80",
    "http://127.0.0.1:80/path",
    "http://127.0.0.1:80//",
    "http://127.0.0.1:80/..",
    "http://127.0.0.1:80?x=1",
    "http://127.0.0.1:80/?x=1",
    "http://127.0.0.1:80#x",
    "http://127.0.0.1:80;x",
    "http://127.1:80",
    "http://127.0.0.2:80",
    "http://2130706433:80",
    "http://0x7f000001:80",
    "http://0177.0.0.1:80",
    "http://0:80",
    "http://0.0.0.0:80",
    "http://[::]:80",
    "http://[::ffff:127.0.0.1]:80",
    "http://[0:0:0:0:0:0:0:1]:80",
    "http://[::1%25lo]:80",
    "http://::1:80",
    "http://[::1:80",
    "http://\u246027.0.0.1:80",
    "http://\uff4cocalhost:80",
    "http://%31%32%37.0.0.1:80",
    "http://169.254.169.254:80",
    "http://10.0.0.1:80",
    "http://host.docker.internal:80",
    "ftp://127.0.0.1:80",
    "file:///etc/passwd",
    "unix:///run/x.sock",
    "javascript:alert(1)",
    "data:text/plain,x",
    "gopher://127.0.0.1:80",
    "ws://127.0.0.1:80",
    "http+unix://127.0.0.1:80",
    "",
    ".",
]


@pytest.mark.parametrize("endpoint", HOSTILE, ids=ascii)
def test_an_endpoint_that_is_not_plainly_this_machine_is_refused(endpoint):
    """No spelling but http, a loopback name and a port is accepted."""
    with pytest.raises(EndpointError):
        base_url("us", "pipelines", endpoint=endpoint)


def test_the_table_of_hostile_endpoints_is_long_enough():
    """At least sixty different hostile addresses are tried."""
    assert len(set(HOSTILE)) >= 60


@pytest.mark.parametrize("endpoint", [None, 5, b"http://127.0.0.1:80", ["http://127.0.0.1:80"]][1:])
def test_an_endpoint_that_is_no_text_is_refused(endpoint):
    """Something that is not a string is not taken for an address."""
    with pytest.raises(EndpointError):
        base_url("us", "pipelines", endpoint=endpoint)


@pytest.mark.parametrize("api", ["pipelines", "forms", "form-action"])
@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
def test_a_server_on_this_machine_takes_the_place_of_every_host(host, slash, api):
    """The three loopback names are accepted, in one canonical spelling."""
    url = base_url("eu", api, endpoint=f"http://{host}:8099{slash}")

    assert url == f"http://{host}:8099"


@pytest.mark.parametrize(
    ("region", "api", "url"),
    [
        pytest.param("us", "pipelines", "https://cdp.customer.io", id="us-pipelines"),
        pytest.param("eu", "pipelines", "https://cdp-eu.customer.io", id="eu-pipelines"),
        pytest.param("us", "forms", "https://track.customer.io", id="us-forms"),
        pytest.param("eu", "forms", "https://track-eu.customer.io", id="eu-forms"),
        pytest.param("eu", "form-action", "https://eu.customerioforms.com", id="eu-form-action"),
    ],
)
def test_each_region_has_its_own_hosts(region, api, url):
    """Without an endpoint the address is the region's host over HTTPS."""
    assert base_url(region, api) == url


@pytest.mark.parametrize("region", ["", "US", "eu ", "sandbox", "evil.tld", "us.evil", None])
def test_a_region_that_is_not_one_is_refused(region):
    """Only `us` and `eu` are regions, letter by letter, even beside an endpoint."""
    with pytest.raises(ConfigError):
        base_url(region, "pipelines", endpoint="http://127.0.0.1:80")


def test_a_refused_endpoint_is_not_repeated_with_what_could_be_a_key():
    """User part, path and query of an address may hold a key and do not come back."""
    for endpoint in (
        f"https://{CANARY}:@cdp.customer.io",
        f"http://127.0.0.1:80/{CANARY}",
        f"http://127.0.0.1:80?key={CANARY}",
        f"http://[{CANARY}",
    ):
        with pytest.raises(EndpointError) as caught:
            base_url("us", "pipelines", endpoint=endpoint)

        assert CANARY not in str(caught.value)


@pytest.mark.parametrize(
    "draw",
    [
        pytest.param(repr, id="repr"),
        pytest.param(str, id="str"),
        pytest.param("{}".format, id="format"),
        pytest.param("{:>40}".format, id="padded"),
        pytest.param("{!r}".format, id="conversion"),
        pytest.param(lambda key: "%s %r" % (key, key), id="percent"),  # noqa: UP031
        pytest.param(lambda key: key._repr_html_(), id="html"),
        pytest.param(lambda key: repr([key, {"k": key}]), id="nested"),
        pytest.param(lambda key: repr(Credentials(write_key=key)), id="credentials"),
        pytest.param(lambda key: repr(key._reveal), id="closure"),
    ],
)
def test_a_key_is_never_drawn(draw):
    """Whatever draws a key draws something else."""
    assert CANARY not in draw(SecretKey(CANARY))


@pytest.mark.parametrize(
    "take",
    [
        pytest.param(pickle.dumps, id="pickle"),
        pytest.param(copy.copy, id="copy"),
        pytest.param(copy.deepcopy, id="deepcopy"),
        pytest.param(lambda key: pickle.dumps(Credentials(write_key=key)), id="credentials"),
        pytest.param(lambda key: asdict(Credentials(write_key=key)), id="asdict"),
    ],
)
def test_a_key_cannot_be_taken_along(take):
    """Pickling and copying are refused with a sentence that says why."""
    with pytest.raises(TypeError, match="SecretKey cannot be"):
        take(SecretKey(CANARY))


def test_a_key_has_no_dictionary_and_cannot_be_changed():
    """Nothing lists a key's attributes, and nobody puts another value in."""
    key = SecretKey(CANARY)

    with pytest.raises(TypeError):
        vars(key)
    with pytest.raises(AttributeError):
        key.extra = 1
    with pytest.raises(TypeError, match="unhashable"):
        hash(key)


def test_a_key_is_revealed_on_request_and_compared_by_value():
    """`reveal` gives the value without blanks around it; equal values are equal keys."""
    assert SecretKey(f" {CANARY}\n").reveal() == CANARY
    assert SecretKey(CANARY) == SecretKey(CANARY)
    assert SecretKey(CANARY) != SecretKey("other")
    assert SecretKey(CANARY) != CANARY


@pytest.mark.parametrize(
    "value", ["", "  ", "a b", "a:b", "a\nb", "käy", "a\x00b", 5, None, b"k"], ids=ascii
)
def test_a_value_that_cannot_be_a_key_is_refused(value):
    """A key is visible ASCII without blanks and colons."""
    with pytest.raises(ConfigError):
        SecretKey(value)


def test_a_refused_key_is_not_in_the_traceback_text():
    """The message about an unusable key names the argument, not the value."""
    with pytest.raises(ConfigError) as caught:
        credentials(write_key=f"{CANARY}:x", environ={})

    assert "write_key" in str(caught.value)
    assert CANARY not in "".join(traceback.format_exception(caught.value))


def test_arguments_win_over_the_environment():
    """A key that is passed is used; what is not passed comes from the environment."""
    environ = {"CIO_WRITE_KEY": "w1", "CIO_SITE_ID": "s1", "CIO_TRACK_API_KEY": "t1"}

    keys = credentials(write_key="w2", environ=environ)

    assert keys == Credentials(
        write_key=SecretKey("w2"), site_id="s1", track_api_key=SecretKey("t1")
    )


@pytest.mark.parametrize(
    "environ", [{}, {"CIO_WRITE_KEY": "", "CIO_SITE_ID": ""}], ids=["unset", "empty"]
)
def test_a_variable_that_is_unset_or_empty_gives_no_key(environ):
    """An empty variable counts as none."""
    assert credentials(environ=environ) == Credentials()


def test_a_secret_key_can_be_passed_on_as_it_is():
    """An argument may already be a SecretKey."""
    key = SecretKey(CANARY)

    assert credentials(write_key=key, environ={}).write_key is key
