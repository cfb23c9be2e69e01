"""Words of the field's other tools (SPADE, pix2pixHD, Lightning templates, MMagic, diffusers) and the ones here."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection

KEYS = {
    "lr": "optim.lr_generator=... and optim.lr_discriminator=...",
    "learning_rate": "optim.lr_generator=... and optim.lr_discriminator=...",
    "lr_g": "optim.lr_generator=...",
    "g_lr": "optim.lr_generator=...",
    "lr_d": "optim.lr_discriminator=...",
    "d_lr": "optim.lr_discriminator=...",
    "no_ttur": "optim.lr_generator=... and optim.lr_discriminator=... of one value",
    "beta1": "optim.betas=[0.0,0.9]",
    "betas": "optim.betas=[0.0,0.9]",
    "optimizer": "optim=...",
    "epochs": "steps=... (a step is one batch; an epoch is data size / batch_size steps)",
    "max_epochs": "steps=... (a step is one batch; an epoch is data size / batch_size steps)",
    "num_epochs": "steps=... (a step is one batch; an epoch is data size / batch_size steps)",
    "n_epochs": "steps=... (a step is one batch; an epoch is data size / batch_size steps)",
    "niter": "steps=..., with optim.constant_steps=... at the full rate",
    "niter_decay": "optim.decay_steps=...",
    "max_steps": "steps=...",
    "max_iters": "steps=...",
    "total_iters": "steps=...",
    "iterations": "steps=...",
    "train_steps": "steps=...",
    "max_train_steps": "steps=...",
    "batch": "batch_size=...",
    "bs": "batch_size=...",
    "batchsize": "batch_size=...",
    "train_batch_size": "batch_size=...",
    "samples_per_gpu": "batch_size=... (over all processes together)",
    "gpus": "trainer=gpu (one), or trainer=ddp trainer.accelerator=gpu trainer.devices=...",
    "gpu_ids": "trainer=gpu, with the variable CUDA_VISIBLE_DEVICES for the choice of one",
    "gpu": "trainer=gpu",
    "device": "trainer=gpu or trainer=cpu",
    "devices": "trainer.devices=...",
    "accelerator": "trainer.accelerator=...",
    "num_nodes": "trainer.nodes=...",
    "precision": "trainer.precision=...",
    "fp16": "trainer.precision=bf16-mixed",
    "mixed_precision": "trainer.precision=bf16-mixed",
    "amp": "trainer.precision=bf16-mixed",
    "num_workers": "trainer.workers=...",
    "workers": "trainer.workers=...",
    "nthreads": "trainer.workers=...",
    "dataloader_num_workers": "trainer.workers=...",
    "strategy": "trainer.strategy=...",
    "resolution": "size=... or size.height=... size.width=...",
    "crop_size": "size=... or size.height=... size.width=...",
    "load_size": "data.scale=... with size.height=... size.width=...",
    "image_size": "size=... or size.height=... size.width=...",
    "aspect_ratio": "size.height=... size.width=...",
    "height": "size.height=...",
    "width_px": "size.width=...",
    "dataroot": "data=folder data.root=...",
    "data_dir": "data=folder data.root=...",
    "data_root": "data=folder data.root=...",
    "dataset": "data=...",
    "dataset_mode": "data=...",
    "train_data_dir": "data=folder data.root=...",
    "label_dir": "data=folder data.root=...",
    "image_dir": "data=folder data.root=...",
    "label_nc": "data.classes=[...] (data=folder)",
    "num_classes": "data.classes=[...] (data=folder)",
    "no_flip": "data.flip=0",
    "no_instance": "data.instances=false (data=folder)",
    "name_exp": "name=...",
    "exp_name": "name=...",
    "experiment_name": "name=...",
    "run_name": "name=...",
    "run": "generated=runs/NAME/samples, the pictures of a run",
    "task_name": "name=...",
    "output_dir": "name=... (the folder is runs/NAME)",
    "out_dir": "name=... (the folder is runs/NAME)",
    "work_dir": "name=... (the folder is runs/NAME)",
    "checkpoints_dir": "name=... (the folder is runs/NAME)",
    "results_dir": "out=...",
    "ckpt_path": "resume=NAME to go on with a run, start_from=NAME for a new run with its weights",
    "ckpt": "resume=NAME to go on with a run, start_from=NAME for a new run with its weights",
    "checkpoint": "resume=NAME to go on with a run, start_from=NAME for a new run with its weights",
    "resume_from": "resume=NAME",
    "resume_from_checkpoint": "resume=NAME",
    "continue_train": "resume=NAME",
    "load_from": "start_from=NAME",
    "pretrained": "start_from=NAME, or weights=... for the frozen networks",
    "which_epoch": "checkpoint=...",
    "how_many": "count=...",
    "ngf": "width.ngf=...",
    "ndf": "width.ndf=...",
    "netG": "model=...",
    "netD": "discriminator=...",
    "generator": "model=...",
    "network": "model=...",
    "arch": "model=...",
    "use_vae": "model.vae=true",
    "vae": "model.vae=true",
    "z_dim": "model.latent=...",
    "gan_mode": "loss=hinge, lsgan, wgan or another adversarial term",
    "criterion": "loss=...",
    "losses": "loss=a+b",
    "lambda_feat": "loss.feature_matching.weight=...",
    "lambda_vgg": "loss.vgg.weight=...",
    "lambda_kld": "loss.kld.weight=...",
    "no_vgg_loss": "loss.vgg.weight=0",
    "no_ganFeat_loss": "loss.feature_matching.weight=0",
    "ema": "trick=ema",
    "use_ema": "trick=ema",
    "accumulate_grad_batches": "trick=accumulate",
    "gradient_accumulation_steps": "trick=accumulate",
    "use_attention": "attention=self",
    "D_steps_per_G": "generator_every=...",
    "label_smoothing": "trick=label_smoothing",
    "DiffAugment": "trick=diffaugment",
    "diffaug": "trick=diffaugment",
    "grad_clip": "trick=clip",
    "gradient_clip_val": "trick=clip",
    "random_seed": "seed=...",
    "manual_seed": "seed=...",
    "save_every": "checkpoint_every=...",
    "save_epoch_freq": "checkpoint_every=... (steps)",
    "save_latest_freq": "checkpoint_every=... (steps)",
    "checkpointing_steps": "checkpoint_every=...",
    "display_freq": "grid_every=... (steps)",
    "print_freq": "log_every=... (steps)",
    "log_every_n_steps": "log_every=...",
    "wandb": "logger=wandb",
    "use_wandb": "logger=wandb",
    "report_to": "logger=wandb or logger=tensorboard",
    "tf_log": "logger=tensorboard",
    "config": "experiment=SLUG",
    "cfg": "experiment=SLUG",
    "metric": "measure=...",
    "metrics": "measure=...",
}
"""Key of another tool -> the words to write here."""

OPTIONS = {
    ("model", "spade"): "gaugan",
    ("model", "pix2pixhd"): "gaugan",
    ("model", "pix2pix"): "gaugan",
    ("model", "cocosnet"): "cocosnetv1",
    ("model", "cocosnet2"): "cocosnetv2",
    ("model", "deeplab"): "smp",
    ("model", "segmentation"): "smp",
    ("model", "unet"): "smp",
    ("discriminator", "multiscale"): "patch",
    ("discriminator", "patchgan"): "patch",
    ("discriminator", "n_layer"): "patch",
    ("optim", "adam"): "ttur",
    ("loss", "contextual"): "cx",
    ("loss", "perceptual"): "perc",
    ("loss", "gan"): "hinge",
    ("loss", "mse"): "l1",
    ("loss", "l2"): "l1",
    ("loss", "fm"): "feature_matching",
    ("loss", "cobiloss"): "cobi",
    ("data", "custom"): "folder",
    ("data", "coco"): "coco_stuff",
    ("data", "ade"): "ade20k",
    ("data", "cityscapes"): "folder",
    ("data", "landscape"): "scene",
    ("data", "jittor"): "scene",
    ("trainer", "cuda"): "gpu",
    ("trainer", "auto"): "gpu",
    ("logger", "tb"): "tensorboard",
    ("extractor", "vgg19"): "vgg",
    ("trick", "average"): "ema",
    ("trick", "diffaug"): "diffaugment",
    ("trick", "diff_augment"): "diffaugment",
}
"""(group, another tool's option) -> the nearest option here."""


def key_hint(path: str, known: Collection[str]) -> str | None:
    """Words that say here what a key of another tool says there.

    Args:
        path: the key, as it was given.
        known: keys and groups at the root of this command's config; words that name none of them are of no use.
    """
    last = path.lstrip("+~").rpartition(".")[2]
    words = KEYS.get(last) or KEYS.get(last.lower().replace("-", "_"))
    return words if words and re.split(r"[=.]", words)[0] in known else None


def option_hint(group: str, option: str) -> str | None:
    """Nearest option of a group to another tool's; None for an option of none."""
    return OPTIONS.get((group.rpartition("/")[2], option.lower().replace("-", "_")))


def nearest(name: str, known: list[str], *, group: str = "") -> str:
    """' Did you mean cx?': another tool's word for it, or a name like it; nothing when no known name is near."""
    meant = option_hint(group, name)
    alike = difflib.get_close_matches(name, known, 1) or difflib.get_close_matches(name.lower(), known, 1)
    close = [meant] if meant in known else alike
    return f" Did you mean {close[0]}?" if close else ""
