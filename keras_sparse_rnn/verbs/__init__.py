"""The verbs of the command line, one per module: `add(verbs)` adds its parser. Modules import little at the top, so
that --help appears at once."""

import argparse
import shutil
import textwrap


def add_verb(verbs, name, run, *, help, description, examples):
    """Adds the parser of a verb.

    Args:
        verbs: The result of `ArgumentParser.add_subparsers`.
        name: The verb.
        run: Function of the parsed arguments.
        help: One line.
        description: One paragraph, wrapped here.
        examples: Lines that can be run as they stand.

    Returns:
        The parser, to add the verb's own arguments to.
    """
    common = argparse.ArgumentParser(add_help=False)
    # Suppressed, since a default would override the option of the same name in front of the verb.
    common.add_argument(
        "--debug", action="store_true", default=argparse.SUPPRESS, help="show the traceback of an error"
    )
    width = min(shutil.get_terminal_size().columns, 100) - 2
    parser = verbs.add_parser(
        name,
        parents=[common],
        help=help,
        description=textwrap.fill(description, width),
        epilog="\n  ".join(["example:" if len(examples) == 1 else "examples:", *examples]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)
    return parser
