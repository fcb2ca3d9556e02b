#!/usr/bin/python3
"""
ansible-playbook, with modules that earlier runs have packed.

    playbook.py FOLDER ARGUMENT...

For each module that a run uses, Ansible packs an archive of it and of all that it imports. That takes longer than most
modules do, and the archives are kept for that run alone, in a folder of its own (_find_module_utils in
ansible.executor.module_common). Here those of Ansible's own modules are kept in FOLDER. Who calls this sees to it that
the playbook's repository has no modules of its own: one of the same name would have the same archive.
"""

import atexit
import contextlib
import gc
import hashlib
import os
import re
import shutil
import sys
import tempfile


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
    with contextlib.suppress(OSError):
        for name in os.listdir(run):
            archive = os.path.join(run, name)
            if not os.path.islink(archive) and is_own(name):
                keep_one(archive, folder)


def is_own(name):
    """Whether a module comes with Ansible, by the name of its archive: ansible.modules.copy-ZIP_DEFLATED."""
    found = re.fullmatch(r"ansible\.modules\.(\w+)-ZIP_[A-Z0-9]+", name)
    return found is not None and os.path.isfile(os.path.join(home, "modules", found[1] + ".py"))


def keep_one(archive, folder):
    descriptor, written = tempfile.mkstemp(dir=folder, prefix=".")
    try:
        with open(archive, "rb") as source, os.fdopen(descriptor, "wb") as target:
            shutil.copyfileobj(source, target)
            target.flush()
            os.fsync(target.fileno())
        # Others may do the same at this moment.
        os.rename(written, os.path.join(folder, os.path.basename(archive)))
    except OSError:
        os.unlink(written)
        raise


def version_of(ansible):
    """Changes when another Ansible is installed."""
    parts = [os.path.join(home, part) for part in ("modules", "module_utils", "executor")]
    seen = [ansible.__version__, sys.version, *(str(os.stat(part).st_mtime_ns) for part in parts)]
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
    gc.enable()
    home = os.path.dirname(ansible.__file__)
    searched = [*constants.DEFAULT_MODULE_PATH, *constants.DEFAULT_MODULE_UTILS_PATH]
    if not any(os.path.isdir(place) for place in searched):
        lend(os.path.join(folder, version_of(ansible)), os.path.join(constants.DEFAULT_LOCAL_TMP, "ansiballz_cache"))
    playbook.main()


main()
