"""``iarbench train``: a tokenizer, a transformer and a smaller decoder on a user's own images."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from iarbench.commands import options
from iarbench.errors import UserError

if TYPE_CHECKING:
    from iarbench.training.folder import TrainedFolder

EXAMPLES = """  iarbench train tokenizer   --like var-mini --name mine --images train.parquet --out mine/ --minutes 30
  iarbench train transformer --name mine --images train.parquet --out mine/ --minutes 30
  iarbench train transformer --name mine --images pictures/ --out mine/ --labels cat,dog
  iarbench train decoder     --like llamagen-mini --name small --images train.parquet --out small/ \\
      --decoder '{ch: 8, ch_mult: [1, 1, 4, 4], num_res_blocks: 1}'
  IARBENCH_GENERATORS=mine iarbench generate --generator mine --count 64 --out made/
--images takes a folder (folders in it are classes), a Parquet file, an image set of iarbench, or hf:owner/name.
Pictures of unknown class (null, "" or -1) train the tokenizer alone.
Re-run the same command to resume. Numbers that are not given are those that --like was trained with.
"""


#: options that only some trainings have
OPTIONS_OF = {
    "tokenizer": ("warm_start", "commitment", "isotropy", "isotropy_window", "isotropy_variance", "latent_from"),
    "tokenizer decoder": ("adversarial_steps", "latent_weight"),
    "transformer": ("labels", "class_names", "views", "others_until"),
    "decoder": ("decoder",),
}


def add_parser(subparsers: options.Subparsers) -> None:
    """Add the command to the command line."""
    description = (
        "Train a generator of a known architecture on your own images, tokenizer first. "
        "--out becomes a folder of generators: weights and the YAML that describes them."
    )
    brief = "train a tokenizer, its smaller decoder, or a transformer"
    parser = options.add_command(subparsers, "train", brief, description, EXAMPLES)
    parser.add_argument("what", choices=["tokenizer", "transformer", "decoder"])
    parser.add_argument("--name", required=True, type=options.new_name, help="name of the new generator")
    parser.add_argument("--like", default="llamagen-mini", help="generator that it takes its architecture from")
    parser.add_argument("--images", required=True, help="folder, Parquet file or image set")
    parser.add_argument("--label-column", metavar="NAME", help="column of a Parquet file that holds the classes")
    parser.add_argument("--out", type=Path, required=True, help="folder for weights, YAML and checkpoints")
    parser.add_argument("--decoder", type=options.mapping, help="sizes in which the new decoder differs (decoder)")
    parser.add_argument("--labels", help="train the transformer on these classes only, comma-separated")
    parser.add_argument("--class-names", help="other names for the classes, in their order, comma-separated")
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--steps", type=options.positive, help="batches to train on")
    length.add_argument(
        "--minutes", type=options.above_zero, help="train for so long in place of --steps, all runs together"
    )
    parser.add_argument(
        "--adversarial-steps",
        type=options.not_negative,
        help="batches of the second phase of a tokenizer or decoder; 0 skips it, also with --minutes",
    )
    parser.add_argument("--batch-size", type=options.positive, metavar="N", help="images in a batch")
    parser.add_argument("--lr", type=options.above_zero, help="highest learning rate (of the first phase)")
    parser.add_argument("--warm-start", action="store_true", help="begin with the weights of --like (tokenizer)")
    tokenizer = parser.add_argument_group("tokenizer")
    tokenizer.add_argument("--commitment", type=options.number, help="weight of the pull of features to their codes")
    tokenizer.add_argument("--isotropy", type=options.number, help="how strongly codes spread over all directions")
    tokenizer.add_argument(
        "--isotropy-window", type=options.positive, help="side of the square of positions that isotropy is taken over"
    )
    tokenizer.add_argument("--isotropy-variance", type=options.above_zero, help="variance it asks of every feature")
    tokenizer.add_argument(
        "--latent-weight", type=options.number, help="how strongly decoded images must be read back to their codes"
    )
    tokenizer.add_argument(
        "--latent-from", type=options.fraction, metavar="FRACTION", help="of the training after which they must"
    )
    transformer = parser.add_argument_group("transformer")
    transformer.add_argument(
        "--views", type=options.positive, help="versions of each image, mirrored and zoomed, that it is trained on"
    )
    transformer.add_argument(
        "--others-until",
        type=options.fraction,
        metavar="FRACTION",
        help="of the training in which it also learns images of the classes that --labels leaves out",
    )
    parser.add_argument("--restart", action="store_true", help="begin anew, whatever checkpoints are in --out")
    options.add_device(parser)
    parser.add_argument("--threads", type=options.positive, help="CPU threads")


def execute(args: argparse.Namespace) -> int:
    """Train, save, and say where."""
    from iarbench.device import check_device, enough_memory, resolve_device
    from iarbench.files import remove_leftovers, require_writable

    _refuse_options_of_others(args)
    check_device(args.device)
    require_writable(args.out, "--out")
    folder = _folder(args)
    options.require_source(args.images, label_column=args.label_column)

    import torch

    from iarbench.commands.train_tokenizer import new_decoder, new_tokenizer
    from iarbench.commands.train_transformer import new_transformer
    from iarbench.models.loading import build_tokenizer
    from iarbench.nn.memory import keep_freed_memory
    from iarbench.training.data import load_images

    build_tokenizer(folder.variant)  # sizes that cannot be are known before images are read
    remove_leftovers(args.out)
    args.device = resolve_device(args.device)
    keep_freed_memory()
    if args.threads:
        torch.set_num_threads(args.threads)
    images = load_images(args.images, folder.variant.image_size, args.label_column)
    if images.skipped:
        options.say(f"note: {args.images}: {images.skipped}")
    train = {"tokenizer": new_tokenizer, "transformer": new_transformer, "decoder": new_decoder}[args.what]
    with enough_memory("for such batches; repeat with a smaller --batch-size"):
        saved = train(args, folder, images)
    for path in saved:
        print(f"saved {path}")
    return 0


def _refuse_options_of_others(args: argparse.Namespace) -> None:
    for kinds, names in OPTIONS_OF.items():
        for name in names:
            given = getattr(args, name)
            if args.what not in kinds.split() and given is not None and given is not False:
                commands = " and ".join(f"`train {kind}`" for kind in kinds.split())
                raise UserError(f"--{name.replace('_', '-')} is an option of {commands}")


def _folder(args: argparse.Namespace) -> TrainedFolder:
    """The generator that is trained, as far as it is known before."""
    from iarbench.models import variants
    from iarbench.training.folder import TrainedFolder

    if args.what == "transformer":
        return TrainedFolder.open(args.out, args.name)
    like = variants.get(args.like)
    if args.what == "tokenizer":
        return TrainedFolder.begin(args.out, args.name, like)
    if not args.decoder:
        raise UserError("train decoder needs --decoder, the sizes in which it differs: --decoder '{ch: 8}'")
    folder = TrainedFolder.begin(args.out, args.name, like, decoder=args.decoder)
    if like.classes:
        folder.set_classes(list(like.classes))
    return folder
