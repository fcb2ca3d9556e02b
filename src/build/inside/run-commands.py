#!/usr/bin/python3
"""
Runs commands in a tree; started in a sandbox, because only there the tree is mounted.

    run-commands.py TREE

For each line of JSON {"command", "timeoutMs"} on standard input it answers with a line of JSON: what came of the command
as {"exitCode", "stdout", "stderr", "timedOut"}, or {"error"} when it could not be run. It is Python because a build waits
for it to start, and Node takes five times as long to do that.
"""

import json
import os
import select
import signal
import subprocess
import sys
import time

# Bytes of each output; the answer is read at once and held against patterns.
max_output = 1 << 20

# Seconds; more is no time that the kernel takes.
longest = 1_000_000

# As of every program that netkiln starts (lib/exec.ts).
environment = {name: os.environ[name] for name in ("PATH", "LC_ALL", "TZ")}


class CannotRun(Exception):
    """Says why there is no outcome."""


def outcome_of(tree, command, seconds):
    # In a PID namespace of its own, so that what a command starts ends with it or with its time limit.
    own = ["unshare", "--pid", "--fork", "--kill-child=KILL", "chroot", tree]
    with subprocess.Popen(
        [*own, "/bin/sh", "-c", command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
    ) as process:
        try:
            timed_out, outputs = follow(process, time.monotonic() + seconds)
        finally:
            process.kill()
    code = process.returncode
    if code < 0 and not timed_out:
        raise CannotRun(f"the command was ended by {signal.Signals(-code).name}")
    stdout, stderr = (output.decode("utf-8", "replace") for output in outputs)
    return {"exitCode": 124 if timed_out else code, "stdout": stdout, "stderr": stderr, "timedOut": timed_out}


def follow(process, end):
    """Waits until a process has ended, or until its time is up; returns whether it is, and what was printed."""
    printed = {process.stdout: bytearray(), process.stderr: bytearray()}
    going_on = set(printed)
    while going_on:
        ready, _, _ = select.select(going_on, [], [], max(0, end - time.monotonic()))
        if not ready:
            return True, printed.values()
        for pipe in ready:
            chunk = os.read(pipe.fileno(), 1 << 16)
            printed[pipe] += chunk
            if not chunk:
                going_on.remove(pipe)
            if len(printed[pipe]) > max_output:
                raise CannotRun(f"the command printed more than {max_output} bytes and was ended")
    try:
        process.wait(max(0, end - time.monotonic()))
    except subprocess.TimeoutExpired:
        return True, printed.values()
    return False, printed.values()


def main():
    tree = sys.argv[1]
    # Whatever it prints is no answer.
    nothing = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    has_shell = subprocess.run(["chroot", tree, "/bin/sh", "-c", ":"], env=environment, **nothing)
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            if has_shell.returncode != 0:
                raise CannotRun("the tree has no shell that runs (/bin/sh)")
            answer = outcome_of(tree, asked["command"], min(asked["timeoutMs"] / 1000, longest))
        except CannotRun as reason:
            answer = {"error": str(reason)}
        except (OSError, ValueError) as reason:
            # Too long for the kernel, or with characters that no command has.
            answer = {"error": f"the command cannot be started: {reason}"}
        print(json.dumps(answer), flush=True)


main()
