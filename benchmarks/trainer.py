"""Masked-LM training by Hugging Face's Trainer, as it comes and as a user who tuned it would run it."""

import time
from pathlib import Path

import torch

from helpers import compute
from helpers.encoder.named import resolve_model
from helpers.pretrain import Recipe
from helpers.pretrain.training import can_compile

PEERS = {"HF Trainer": False, "HF Trainer, tuned": True}  # title -> `tuned`


def tokens_per_second(model: str, texts: list[str], recipe: Recipe, folder: Path, tuned: bool, warm: int) -> float:
    """Useful (not padding) tokens a second after `warm` updates, with logits at every position.

    tuned: run_mlm's own grouping, all texts joined and cut into full blocks, so that nothing is padded (a window then
    holds pieces of several texts); bf16 where the machine has it, a compiled step, a device batch that is the whole
    update, and a process that prepares batches. Else a text a row, as with --line_by_line.
    """
    from transformers import (
        AutoModelForMaskedLM,
        AutoTokenizer,
        DataCollatorForLanguageModeling,
        Trainer,
        TrainerCallback,
        TrainingArguments,
    )

    torch.compiler.reset()  # after eight Trainers in one process torch would compile no more of them
    source = resolve_model(model)
    net, tokenizer = AutoModelForMaskedLM.from_pretrained(source), AutoTokenizer.from_pretrained(source)
    dataset = _examples(texts, tokenizer, recipe.max_length, joined=tuned)
    on_cpu = compute.device().type == "cpu"
    most = recipe.batch_size if tuned else min(recipe.batch_size, 16 if on_cpu else 128)
    device_batch = next(size for size in range(most, 0, -1) if recipe.batch_size % size == 0)
    marks = []

    class Clock(TrainerCallback):
        def on_step_end(self, args, state, control, **kwargs):
            marks.append(time.perf_counter())

    arguments = TrainingArguments(
        output_dir=str(folder / "trainer"), max_steps=recipe.steps, per_device_train_batch_size=device_batch,
        gradient_accumulation_steps=recipe.batch_size // device_batch, learning_rate=recipe.learning_rate,
        weight_decay=recipe.weight_decay, warmup_steps=1, report_to=[], save_strategy="no", disable_tqdm=True,
        logging_strategy="no", use_cpu=on_cpu, bf16=compute.precision() == "bf16" and (tuned or not on_cpu),
        torch_compile=tuned and can_compile(), dataloader_num_workers=int(tuned),
        train_sampling_strategy="sequential", dataloader_drop_last=True,
    )  # fmt: skip
    collate = DataCollatorForLanguageModeling(tokenizer, mlm_probability=recipe.mask_probability)
    Trainer(net, arguments, train_dataset=dataset, data_collator=collate, callbacks=[Clock()]).train()
    read = sum(
        len(dataset[place % len(dataset)]["input_ids"])
        for place in range(warm * recipe.batch_size, len(marks) * recipe.batch_size)
    )
    return read / (marks[-1] - marks[warm - 1])


def _examples(texts: list[str], tokenizer, length: int, joined: bool) -> list[dict]:
    if not joined:
        found = [tokenizer(text, truncation=True, max_length=length) for text in texts]
        return [{"input_ids": one["input_ids"], "attention_mask": one["attention_mask"]} for one in found]
    flat = [token for ids in tokenizer(texts)["input_ids"] for token in ids]
    blocks = [flat[start : start + length] for start in range(0, len(flat) - length + 1, length)]
    return [{"input_ids": block, "attention_mask": [1] * length} for block in blocks]
