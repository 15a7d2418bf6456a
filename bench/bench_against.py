"""This build beside another binary of Havn, in turns, so that a change of a few percent shows on a noisy machine.

Each figure is taken ROUNDS times of both, alternating which goes first. The ratio is the median of the rounds' own
ratios: what slowed the machine down for a while slowed both.
"""

import statistics
import time

import bench_gateway
import bench_queue
import bench_supervisor
from harness import (AS_US, BUILD, Havn, free_port, memory, save, scratch, serves_http, speaks_amqp, table,
                     wait_for)

ROUNDS, SECONDS = 8, 2.5
CASES = {"publish, window 1000": ("publish", {"window": 1000}),
         "consume + ack, prefetch 1000": ("consume", {"prefetch": 1000, "ack_every": 1}),
         "publish, window 1": ("publish", {"window": 1})}


def in_turns(both):
    for number in range(ROUNDS):
        yield from both if number % 2 else reversed(both)


def gateway(binaries, note):
    with scratch() as folder:
        bench_gateway.upstream_configuration(folder, "template", "UPSTREAM_PORT")
        (folder / "upstream.sh").write_text(
            f'sed "s/UPSTREAM_PORT/$PORT/" {folder}/template.conf >$1\nexec nginx -c $1\n')
        both, ports = [], {}
        for name, binary in binaries.items():
            ports[name] = free_port()
            manifest = bench_gateway.HAVN.format(port=ports[name], amqp=free_port(), folder=folder, name=name,
                                                 keepalive=512, as_us=AS_US)
            both.append(Havn(folder, manifest, name, binary))
            both[-1].connections = bench_gateway.CONNECTIONS
        for one in in_turns(both):
            for connections, figures in bench_gateway.measure(one, ports[one.name], {}).items():
                note(one.name, f"CPU us/request, {connections} connections", figures["cpu_us_per_request"])
                note(one.name, f"requests/s, {connections} connections", figures["requests_per_second"])


def queue(binaries, note):
    bench_queue.CASES, bench_queue.SECONDS = CASES, SECONDS
    with scratch() as folder:
        both = []
        try:
            for name, binary in binaries.items():
                port = free_port()
                broker = Havn(folder, bench_queue.HAVN.format(port=port, http=free_port()), name, binary)
                both.append(bench_queue.Subject(name, broker, port))
                broker.start()
                wait_for(lambda: speaks_amqp(port), "Havn's broker to answer")
            for number, one in enumerate(in_turns(both)):
                for case, figures in one.turn(number).items():
                    note(one.name, f"messages/s, {case}", figures["per_second"])
                    note(one.name, f"CPU us/message, {case}", figures["cpu_us_per_message"])
        finally:
            for one in both:
                one.broker.stop()


def supervisor(binaries, note):
    with scratch() as folder:
        both = []
        try:
            for name, binary in binaries.items():
                both.append((name, bench_supervisor.havn(folder, name, binary)))
                both[-1][1].start()
                wait_for(lambda: serves_http(both[-1][1].http), "Havn to serve")
            time.sleep(4)
            for name, one in both:
                note(name, "memory of all processes, idle, PSS MB", memory(one.pids())["pss_mb"])
                note(name, "the same, anonymous MB", memory(one.pids())["anonymous_mb"])
            for name, one in in_turns(both):
                for value in bench_supervisor.time_restarts(one.stamp, name):
                    note(name, "restart, ms", value)
        finally:
            for _, one in both:
                one.stop()


def run(other, names):
    binaries = {"other": other, "this": BUILD / "havn"}
    samples = {}

    def note(who, what, value):
        samples.setdefault(what, {"other": [], "this": []})[who].append(value)

    for name in names:
        print(f"==> {name}: {other} and this build, {ROUNDS} rounds", flush=True)
        {"gateway": gateway, "queue": queue, "supervisor": supervisor}[name](binaries, note)
    rows, result = [], {}
    for what, taken in samples.items():
        ratios = [this / other for this, other in zip(taken["this"], taken["other"])]
        result[what] = {**{who: round(statistics.median(values), 3) for who, values in taken.items()},
                        "ratio": round(statistics.median(ratios), 3), "ratios": [round(one, 3) for one in ratios]}
        rows.append([what, *(f"{result[what][who]:,.2f}" for who in ("other", "this")), f"{result[what]['ratio']:.3f}",
                     f"{min(ratios):.2f} to {max(ratios):.2f}"])
    table("this build beside the other (medians)", ["", "other", "this", "ratio", "of the rounds"], rows)
    save("against", {"other": str(other), "rounds": ROUNDS, "figures": result})
