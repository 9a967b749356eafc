"""llama.cpp's own chat server, in a process of its own: `python -m voice.engines.llama_server`.

    stdin   one line of JSON with the fields of `Parameters`, then nothing; its end ends this process
    stdout  one line of JSON, {"address": "http://127.0.0.1:PORT"} or {"broken": true}
    stderr  llama.cpp's log

The key comes by stdin because command lines and environments can be read by other users of the machine. Holding on to
stdin is what keeps this process alive, so that it cannot outlive its parent, however that ends.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict, dataclass
from typing import Any

import xllamacpp


@dataclass(frozen=True)
class Parameters:
    """What the server is started with."""

    model: str
    """Path of a GGUF file."""
    api_key: str
    slots: int
    """Prompts that are read and answered at the same time."""
    context_tokens: int
    """For each slot: prompt and reply."""
    threads: int
    """0: as many as there are physical cores."""
    cache_mb: int
    """Memory for the prefixes of conversations that have no slot at the moment."""

    def to_json(self) -> str:
        return json.dumps(asdict(self))


def start(parameters: Parameters) -> xllamacpp.Server:
    """A server that is ready. Raises RuntimeError for a model that cannot be loaded."""
    params = xllamacpp.CommonParams()
    params.model.path = parameters.model
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.api_keys = [parameters.api_key]
    params.cors_origins = ""
    params.cors_credentials = False
    params.ui = False
    params.endpoint_slots = False
    params.endpoint_props = False

    params.n_parallel = parameters.slots
    params.n_ctx = parameters.slots * parameters.context_tokens
    # One pool of cells for all slots is what lets an idle slot's prefix move to the cache in memory and back.
    params.kv_unified = True
    params.kv_unified_per_slot = parameters.context_tokens
    params.cache_ram_mib = parameters.cache_mb

    # DRY (https://github.com/oobabooga/text-generation-webui/pull/5677) ends the loops that small models fall into, as
    # "何かお手伝いできることがあれば、" over and over, and leaves short set phrases alone.
    params.sampling.dry_multiplier = 0.8
    params.sampling.dry_allowed_length = 4
    params.sampling.dry_penalty_last_n = 512

    for cores in (params.cpuparams, params.cpuparams_batch):
        cores.n_threads = parameters.threads or -1
        # No spinning between the steps of a graph: speech engines want the same cores.
        cores.poll = 0
    # Mapped, the file would stay resident beside the copy that is repacked for this CPU: 2.1 GB instead of 1.5 GB.
    params.load_mode = xllamacpp.llama_load_mode.LLAMA_LOAD_MODE_NONE
    # Measuring what fits into a GPU's memory loads the model's index once more.
    params.fit_params = False
    return xllamacpp.Server(params)


def main() -> None:
    """Serve until stdin ends."""
    # Only the line that is promised reaches stdout, whatever a native library prints there.
    report = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def tell(**line: Any) -> None:
        print(json.dumps(line), file=report, flush=True)

    parameters = Parameters(**json.loads(sys.stdin.readline()))
    try:
        server = start(parameters)
    except RuntimeError:
        tell(broken=True)
        sys.exit(1)
    tell(address=server.listening_address)
    sys.stdin.read()
    # Nothing is worth saving, and replies under way need not be waited for.
    os._exit(0)


if __name__ == "__main__":
    main()
