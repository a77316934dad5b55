#!/usr/bin/env python3
"""Core archives reference no clock, socket, file, thread or entropy symbol: core_symbols.py ARCHIVE...

The include rules read sources; this reads what the compiler made of them, so that a macro, a header or a library that does it behind
our backs is found too.
"""
import re
import subprocess
import sys

# Demangled names as `nm -C -u` prints them, version suffix removed.
FORBIDDEN = [
    (r"clock_gettime|gettimeofday|time|std::chrono::.*::now\(\)", "a clock"),
    (r"nanosleep|clock_nanosleep|usleep|sleep|timerfd_\w+", "waiting"),
    (r"socket|connect|bind|listen|accept4?|send(to|msg)?|recv(from|msg)?|getaddrinfo|epoll_\w+|poll|select", "the network"),
    (r"open(at)?(64)?|f(d)?open(64)?|read|write|pread(64)?|pwrite(64)?|mmap(64)?|unlink|rename|std::basic_[io]?fstream.*|std::filesystem::.*", "files"),
    (r"getrandom|getentropy|arc4random\w*|rand|random|std::random_device::.*", "entropy"),
    (r"pthread_create|std::thread::.*|std::jthread::.*|std::condition_variable::.*", "threads"),
    (r"getenv|secure_getenv|fork|execve?|system|kill|raise", "the outside world"),
    (r"boost::asio::.*|SSL_\w+|RAND_\w+", "the shell's libraries"),
]


def undefined_symbols(archive):
    output = subprocess.run(["nm", "-C", "-u", archive], check=True, capture_output=True, text=True).stdout
    member = ""
    for line in output.splitlines():
        if line.endswith(":") and " U " not in line:
            member = line[:-1]
        elif match := re.match(r"\s+[Uw] (.*)$", line):
            yield member, re.sub(r"@.*$", "", match.group(1))


def violations(symbols):
    for member, symbol in symbols:
        for pattern, what in FORBIDDEN:
            if re.fullmatch(pattern, symbol):
                yield f"{member} references {symbol}: cores know nothing of {what}"


def main(archives):
    found, seen = 0, 0
    for archive in archives:
        symbols = list(undefined_symbols(archive))
        seen += len(symbols)
        for text in violations(symbols):
            print(f"{archive}: {text}")
            found += 1
    print(f"core symbols: {len(archives)} archives, {seen} references, {found} violation(s)")
    return 1 if found or not seen else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
