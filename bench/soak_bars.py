"""What ./dev bench soak is judged by."""
MESSAGES_PER_SECOND = 50_000
CRASHES_PER_SECOND = 1_000
SHARE_MIN = 0.95               # of the load that was to be: with less of it the rest proves nothing
P99_MAX = 1000                 # us, of calls of a process that has nothing to do with it
MEMORY_GROWTH_MAX = 1.1        # from the first look to the last, and to the highest in between


def beyond(found):
    """What is over its bar, a line each; none if all is kept."""
    first, last, most = found["memoryMB"][0], found["memoryMB"][-1], max(found["memoryMB"])
    checks = [
        (found["p99"] <= P99_MAX, f"p99 {found['p99']:.0f} us; at most {P99_MAX}"),
        (most <= first * MEMORY_GROWTH_MAX, f"resident memory {first:.0f} MB at first, {most:.0f} MB at most, {last:.0f} MB at the end; "
                                            f"at most {MEMORY_GROWTH_MAX} times the first"),
        (found["messagesPerSecond"] >= SHARE_MIN * MESSAGES_PER_SECOND, f"{found['messagesPerSecond']:,.0f} messages a second; at least "
                                                                        f"{SHARE_MIN * MESSAGES_PER_SECOND:,.0f}, or the load was not there"),
        (found["crashesPerSecond"] >= SHARE_MIN * CRASHES_PER_SECOND, f"{found['crashesPerSecond']:,.0f} crashes a second; at least "
                                                                      f"{SHARE_MIN * CRASHES_PER_SECOND:,.0f}, or the load was not there"),
        (found["processes"] >= found["wanted"], f"{found['processes']:,} processes at the end; {found['wanted']:,} were started"),
    ]
    return [text for kept, text in checks if not kept]
