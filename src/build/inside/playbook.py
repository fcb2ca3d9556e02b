#!/usr/bin/python3
"""
ansible-playbook, with modules that earlier runs have packed.

    playbook.py FOLDER ARGUMENT...

For each module that a run uses, Ansible packs an archive of it and of all that it imports. That takes longer than most
modules do, and the archives are kept for that run alone, in a folder of its own (_find_module_utils in
ansible.executor.module_common). Here those of Ansible's own modules are kept in FOLDER. Who calls this sees to it that
the playbook's repository has no modules of its own: one of the same name would have the same archive.

Python would compile what is in such an archive at each task, which takes longer than most modules do as well. So the
archives are kept with it compiled.
"""

import atexit
import base64
import contextlib
import gc
import hashlib
import importlib.util
import io
import marshal
import os
import re
import shutil
import sys
import tempfile
import threading
import zipfile


# Where Ansible is installed.
home = ""


def lend(folder, run):
    """Gives the run what is kept, and keeps what it adds when it ends. Without room for that it packs for itself."""
    try:
        if not os.path.isdir(folder):
            os.makedirs(folder, exist_ok=True)
            remove_others(folder)
        kept = os.listdir(folder)
        os.makedirs(run)
    except OSError:
        return
    for name in filter(is_own, kept):
        os.symlink(os.path.join(folder, name), os.path.join(run, name))
    # Called before Ansible removes the run's folder, which it asked for earlier.
    atexit.register(keep, folder, run)


def remove_others(folder):
    """Those of another Ansible are of no use any more."""
    for name in os.listdir(os.path.dirname(folder)):
        if name != os.path.basename(folder):
            shutil.rmtree(os.path.join(os.path.dirname(folder), name), ignore_errors=True)


def keep(folder, run):
    """What cannot be kept is packed again."""
    with contextlib.suppress(OSError, ValueError, zipfile.BadZipFile):
        for name in os.listdir(run):
            archive = os.path.join(run, name)
            if not os.path.islink(archive) and is_own(name):
                keep_one(archive, folder)


def is_own(name):
    """Whether a module comes with Ansible, by the name of its archive: ansible.modules.copy-ZIP_DEFLATED."""
    found = re.fullmatch(r"ansible\.modules\.(\w+)-ZIP_[A-Z0-9]+", name)
    return found is not None and os.path.isfile(os.path.join(home, "modules", found[1] + ".py"))


def keep_one(archive, folder):
    with open(archive, "rb") as source:
        packed = with_compiled(source.read())
    descriptor, written = tempfile.mkstemp(dir=folder, prefix=".")
    try:
        with os.fdopen(descriptor, "wb") as target:
            target.write(packed)
            target.flush()
            os.fsync(target.fileno())
        # Others may do the same at this moment.
        os.rename(written, os.path.join(folder, os.path.basename(archive)))
    except OSError:
        os.unlink(written)
        raise


def with_compiled(packed):
    """
    The archive, which is in base64, with the code of each source beside it. A Python of another version than this one
    goes by the source, as zipimport does when it cannot read the code.
    """
    written = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(base64.b64decode(packed))) as source:
        with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as target:
            for entry in source.infolist():
                content = source.read(entry)
                target.writestr(entry, content)
                if entry.filename.endswith(".py"):
                    compiled = zipfile.ZipInfo(entry.filename + "c", entry.date_time)
                    target.writestr(compiled, code_of(content, entry.filename), zipfile.ZIP_DEFLATED)
    return base64.b64encode(written.getvalue())


# PEP 552: the code goes by a hash of the source, which nobody compares.
unchecked_hash = (1).to_bytes(4, "little")


def code_of(content, name):
    code = marshal.dumps(compile(content, name, "exec", dont_inherit=True))
    return importlib.util.MAGIC_NUMBER + unchecked_hash + importlib.util.source_hash(content) + code


# Raised when archives are kept in another form than before.
kept_form = "2"


def version_of(ansible):
    """Changes when another Ansible is installed."""
    parts = [os.path.join(home, part) for part in ("modules", "module_utils", "executor")]
    seen = [kept_form, ansible.__version__, sys.version, *(str(os.stat(part).st_mtime_ns) for part in parts)]
    return hashlib.sha256("\n".join(seen).encode()).hexdigest()[:16]


def main():
    global home
    folder = sys.argv.pop(1)
    sys.argv[0] = "ansible-playbook"
    # Nothing that imports leave behind is garbage, and looking for it takes a tenth of their time.
    gc.disable()
    try:
        import ansible
        from ansible import constants
        from ansible.cli import playbook
    except ImportError:
        # Installed for another Python than the system's.
        os.execvp("ansible-playbook", sys.argv)
    # Nor is it in the processes of tasks, whose memory stays this one's where nobody writes to it.
    gc.freeze()
    gc.enable()
    home = os.path.dirname(ansible.__file__)
    searched = [*constants.DEFAULT_MODULE_PATH, *constants.DEFAULT_MODULE_UTILS_PATH]
    if not any(os.path.isdir(place) for place in searched):
        lend(os.path.join(folder, version_of(ansible)), os.path.join(constants.DEFAULT_LOCAL_TMP, "ansiballz_cache"))
    run_and_leave(playbook.main)


# Where modules stand that are installed here, Ansible's and Python's own among them.
installed = tuple(os.path.join(place, "") for place in sys.path if place)


def run_and_leave(run):
    """Ends this process without taking apart what is in its memory, which takes longer than a task does."""
    try:
        run()
    except SystemExit as end:
        # What a repository's own plugins have open is closed only when Python ends by itself.
        if not isinstance(end.code, int) or not all(map(is_installed, list(sys.modules.values()))):
            raise
        # As Python does: first threads, which callback plugins may have, then what is to be done at the end.
        threading._shutdown()
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(end.code)


def is_installed(module):
    file = getattr(module, "__file__", None)
    return not isinstance(file, str) or file.startswith(installed)


main()
