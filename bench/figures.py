"""README's table of figures, from the JSON of the last runs: /usr/bin/python3 bench/figures.py"""

import json

from harness import RESULTS


def read(name):
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text()) if path.is_file() else None


def row(what, unit, others, ours, best=min):
    """`others` is [(name, value)]; the ratio is to the best of them."""
    name, value = best(others, key=lambda pair: pair[1])
    listed = " · ".join(f"{name} {value:,.{0 if value >= 100 else 1}f}" for name, value in others)
    shown = f"{ours:,.{0 if ours >= 100 else 1}f}"
    ratio = ours / value
    times = f"{ratio:.2f}" if ratio >= 0.1 else f"1/{1 / ratio:.0f}"
    return f"| {what} ({unit}) | {listed} | {shown} | {times} × {name} |"


def gateway(result):
    for connections, found in result["connections"].items():
        yield from gateway_rows(f"{connections} connections", found, "havn", ("nginx", "haproxy"))
        yield from gateway_rows(f"{connections} connections, room for all", found, "havn-512", ("nginx-512", "haproxy"))


def gateway_rows(where, found, ours, peers):
    if ours not in found:
        return
    for key, what, unit, best in (("cpu_us_per_request", "CPU per proxied request", "µs", min),
                                  ("requests_per_second", "requests", "per second", max),
                                  ("p99_us", "99th percentile", "µs", min)):
        others = [(name, found[name]["median"][key]) for name in peers if name in found]
        yield row(f"{what}, {where}", unit, others, found[ours]["median"][key], best)


def queue(result):
    for case, found in result["cases"].items():
        if "havn" not in found:
            return
        others = [(name, one["median"]["per_second"]) for name, one in found.items() if name != "havn"]
        yield row(f"durable {case}" if case.startswith("publish") else case, "messages/s", others,
                  found["havn"]["median"]["per_second"], max)


def supervisor(result):
    if "havn" not in result["restart"]:
        return
    yield row("back after SIGKILL", "ms", [("supervisord", result["restart"]["supervisord"]["median_ms"])],
              result["restart"]["havn"]["median_ms"])
    yield row("cold start to serving", "ms", [("rabbitmq", result["cold_start_seconds"]["rabbitmq"] * 1000)],
              result["cold_start_seconds"]["havn, HTTP and AMQP"] * 1000)
    yield row("memory, all processes idle (RSS, summed)", "MB",
              [("RabbitMQ + nginx + supervisord", result["memory"]["these together"]["rss_mb"])],
              result["memory"]["havn"]["rss_mb"])


def markdown():
    """The table, or an empty text when no run had Havn in it."""
    rows, machine = [], None
    for name, rows_of in (("gateway", gateway), ("queue", queue), ("supervisor", supervisor)):
        result = read(name)
        if result:
            rows += rows_of(result)
            machine = result["machine"]
    if not rows:
        return ""
    head = [f"Medians of `./dev bench` on {machine['cores']} cores, {machine['date'][:10]}; everything on one machine.", "",
            "| | beside it, from Debian 12 | Havn | |", "|---|---|---|---|"]
    return "\n".join(head + rows)


if __name__ == "__main__":
    print(markdown())
