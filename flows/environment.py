"""The environment of the flows and of all that they start: state stays in the project, nobody is phoned."""

import getpass
import os
import sys
from pathlib import Path
from urllib.parse import urlsplit

from flows.git import without_git

SITE_CACHE_DIR = ".dvc-site-cache"
LOCAL_HOSTS = ("127.0.0.1", "localhost")
PROXIES = ("all_proxy", "http_proxy", "https_proxy")
PROXY_SCHEMES = ("http", "https", "socks5", "socks5h")


def prepare_environment(root: Path | None = None) -> None:
    """Set what Prefect, DVC and the stages read from the environment; call it before Prefect is imported.

    root: the project, by default the current folder. What is set already stays, so an existing PREFECT_API_URL or
    PREFECT_HOME is respected.
    """
    root = (root or Path.cwd()).resolve()
    for name in os.environ.keys() - without_git(os.environ).keys():
        del os.environ[name]  # DVC, here and in children, works on the repository that it stands in
    _name_user(root)
    for name, value in _defaults(root).items():
        os.environ.setdefault(name, value)
    # `python` in dvc.yaml must be the interpreter that runs the flow, whether its environment is activated or not.
    own = str(Path(sys.executable).parent)
    others = [entry for entry in os.environ.get("PATH", "").split(os.pathsep) if entry not in ("", own)]
    os.environ["PATH"] = os.pathsep.join([own, *others])
    _mend_proxies()


def _name_user(root: Path) -> None:
    """Give a user id that has no name, as in a container, what libraries ask for: a name and a home."""
    try:
        getpass.getuser()
    except (KeyError, OSError):
        os.environ["USER"] = f"user-{os.getuid()}"
    try:
        Path.home()
    except RuntimeError:
        os.environ["HOME"] = str(root / ".prefect")


def _mend_proxies() -> None:
    """Leave Prefect's server on this machine out of all proxies, and out of its client's way what it cannot take.

    The client refuses to start if a variable names a proxy of a kind that it does not know, used or not.
    """
    for name, address in list(os.environ.items()):
        if name.lower() in PROXIES and not _is_proxy(address):
            del os.environ[name]
    for name in ("NO_PROXY", "no_proxy"):
        hosts = [host.strip().strip("[]") for host in os.environ.get(name, "").split(",")]
        hosts = [host for host in hosts if host and host.isascii()]
        os.environ[name] = ",".join(hosts + [host for host in LOCAL_HOSTS if host not in hosts])


def _is_proxy(address: str) -> bool:
    try:
        parts = urlsplit(address if "://" in address else f"http://{address}")
        return parts.scheme in PROXY_SCHEMES and bool(parts.hostname) and parts.port != 0
    except ValueError:  # brackets, a port that is no number
        return False


def _defaults(root: Path) -> dict[str, str]:
    return {
        "PREFECT_HOME": str(root / ".prefect"),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "90",  # 9 to 20 s are normal on two busy cores
        "DVC_SITE_CACHE_DIR": str(root / SITE_CACHE_DIR),
        "DVC_NO_ANALYTICS": "1",
        "DVC_STUDIO_OFFLINE": "true",
        "DO_NOT_TRACK": "1",
        "PYTHONUNBUFFERED": "1",
        # Threads of a stage that wait for each other soon leave the core to the stage beside it. By default GNU OpenMP
        # lets them turn in place for milliseconds, and two stages at once are slower than one after the other.
        "GOMP_SPINCOUNT": "1000",
        "OPENBLAS_THREAD_TIMEOUT": "4",
        # Keep what a batch of images has freed for the next one: handed back to the kernel and asked for again, it
        # comes as zeroed pages, which took a fifth of a ranking's time.
        "MALLOC_MMAP_THRESHOLD_": str(2**30),
        "MALLOC_TRIM_THRESHOLD_": str(2**31),
    }
