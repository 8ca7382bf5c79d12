"""What the compiled libraries of the pure rooms may not reach for."""

import re
import subprocess

from tree import Complaint

_BANNED = {
    "a clock": r"std::chrono::(?:_V2::)?\w*_clock::now|clock_gettime|gettimeofday|time|clock"
               r"|timespec_get|times|localtime(?:_r)?|mktime|tzset|timerfd_\w+",
    "a thread or a lock": r"pthread_\w+|std::j?thread::.*|std::this_thread::.*|nanosleep|usleep"
                          r"|sleep|clock_nanosleep|sched_yield|std::condition_variable\b.*"
                          r"|std::__future_base::.*|std::_V2::condition_variable_any\b.*|sem_\w+"
                          r"|std::(?:__once_\w+|(?:recursive_|shared_|timed_)*mutex::.*)|fork",
    "a socket": r"socket|bind|listen|accept4?|connect|send(?:to|msg)?|recv(?:from|msg)?|shutdown"
                r"|select|ppoll|poll|epoll_\w+|getaddrinfo|gethostbyname|setsockopt",
    "a file": r"f?open(?:64)?|openat(?:64)?|creat(?:64)?|freopen(?:64)?|write|p?readv?(?:64)?"
              r"|pwritev?(?:64)?|fread|fsync|fdatasync|mmap(?:64)?|unlink(?:at)?|rename(?:at)?"
              r"|f?stat(?:64)?|lstat(?:64)?|opendir|mkdir|std::filesystem::.*"
              r"|std::(?:basic_)?[io]?f(?:stream|ilebuf)\b.*|std::__basic_file\b.*"
              r"|std::c(?:in|out)",
    "randomness": r"std::random_device::.*|s?random|s?rand|[delmn]rand48|getrandom|getentropy"
                  r"|arc4random\w*|RAND_\w+",
    "the environment": r"(?:secure_)?getenv|setenv|putenv|environ|system|popen|exec[lv]\w*",
    "JSON": r".*\bboost::json::.*",
    "a concrete part": r".*\b(?:rocksdb|prometheus|CLI|toml)::.*|curl_\w+|PQ\w+|SSL_\w+",
    "the network library": r".*\bboost::(?:asio|beast)::.*",
}
_PATTERNS = [(what, re.compile(rf"(?:{pattern})(?:\(.*)?(?:@.*)?", re.DOTALL))
             for what, pattern in _BANNED.items()]


def banned(symbol):
    """What a demangled symbol reaches for, or None. Only whole names match: `retime` is free."""
    name = re.sub(r"\[abi:\w+\]", "", symbol)
    for what, pattern in _PATTERNS:
        if pattern.fullmatch(name):
            return what
    return None


def wanted_symbols(archive, nm="nm"):
    """(object, demangled symbol) for everything that the archive's objects leave undefined.

    Raises RuntimeError when the archive cannot be read or holds no object: an empty listing must
    never look like a clean one.
    """
    done = subprocess.run([nm, "-C", "--undefined-only", archive], capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"nm {archive}: {done.stderr.strip()}")
    member, members, found = "", 0, []
    for line in done.stdout.split("\n"):
        header = re.fullmatch(r"(\S+\.o(?:bj)?):", line)
        if header:
            member, members = header[1], members + 1
            continue
        entry = re.fullmatch(r"\s+[Uwv] (.+)", line)
        if entry:
            found.append((member, entry[1]))
    if members == 0:
        raise RuntimeError(f"nm {archive}: no object inside")
    return found


def check_archive(archive, nm="nm"):
    """A complaint for each banned symbol that an object of the archive wants."""
    for member, symbol in wanted_symbols(archive, nm):
        what = banned(symbol)
        if what:
            yield Complaint(archive, 0, "symbol", f"{member} reaches for {what}: {symbol}")
