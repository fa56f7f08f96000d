"""Run by test_ranks.py under torchrun with two processes: do both ranks hold equal weights?"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import torch
from trainings import without_pictures

from tts_kit.config_file import load_config
from tts_kit.text import load_frontend
from tts_kit.training import acoustic, postnet, vocoder
from tts_kit.training.run import RunOptions, TrainingRun

NETWORKS = {
    "acoustic": ("model",),
    "postnet": ("postnet", "discriminator"),
    "vocoder": ("generator", "discriminators"),
}


def difference(trainer: Any, networks: tuple[str, ...]) -> float:
    """Largest difference of any parameter between the two ranks."""
    worst = 0.0
    for name in networks:
        for parameter in getattr(trainer, name).parameters():
            both = trainer.run.accelerator.gather(parameter.detach()[None])
            worst = max(worst, float((both[0] - both[1]).abs().max()))
    return worst


def make_trainer(name: str, conf: Path, data: Path, out: Path) -> Any:
    config = load_config(conf)
    settings = getattr(config.train, name)
    start = out.parent / "tacotron2" if name == "postnet" else None
    options = RunOptions(conf, data, out, init_from=start)
    run = TrainingRun(name, options, config, settings, depends_on=())
    run.finish = lambda **_: None  # type: ignore[method-assign]  # it would end the process group
    if name == "acoustic":
        return acoustic.AcousticTrainer(run, load_frontend(config.text.frontend))
    if name == "postnet":
        return postnet.PostnetTrainer(run, out.parent / "coarse")
    return vocoder.VocoderTrainer(run, None)


def main(name: str, conf: str, data: str, out: str) -> None:
    networks = NETWORKS[name]
    trainer = make_trainer(name, Path(conf), Path(data), Path(out) / "run")
    seen: list[str] = []
    count = trainer._train_step

    def recorded(batches: Any) -> Any:
        def spy() -> Any:
            for batch in batches:
                seen.extend(batch.ids)
                yield batch

        return count(spy())

    trainer._train_step = recorded
    trainer.fit()
    everyone: list[Any] = [None, None]
    torch.distributed.all_gather_object(everyone, seen[:4])
    result = {
        "synchronized": difference(trainer, networks),
        "clips_disjoint": bool(everyone[0]) and not set(everyone[0]) & set(everyone[1]),
    }
    # The planted fault: the same training past the wrappers.
    faulty = make_trainer(name, Path(conf), Path(data), Path(out) / "faulty")
    for network in networks:
        setattr(faulty, network, faulty.run.accelerator.unwrap_model(getattr(faulty, network)))
    faulty.fit()
    result["planted_fault"] = difference(faulty, networks)
    if name == "vocoder":
        # Another one: every process' mean counts the same, however few its clips are.
        uneven = make_trainer(name, Path(conf), Path(data), Path(out) / "uneven")
        same = torch.tensor(0.5 / uneven.settings.accumulation)
        uneven._shares = lambda window: [same for _ in window]
        uneven.fit()
    if torch.distributed.get_rank() == 0:
        (Path(out) / "ranks.json").write_text(json.dumps(result), encoding="utf-8")
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()
    os._exit(0)  # all is written; gloo's threads now and then abort the interpreter's own end


if __name__ == "__main__":
    with without_pictures():
        main(*sys.argv[1:])
