import argparse


def get_parser():
    parser = argparse.ArgumentParser()
    for option in ("--op", "--metrics", "--device", "--skip"):
        parser.add_argument(option, default="")
    for option in ("--rtol", "--atol"):
        parser.add_argument(option, type=float)
    for option in ("--keep-going", "--skip-print"):
        parser.add_argument(option, action="store_true")
    for option in ("--m", "--n", "--k"):
        parser.add_argument(option, type=int)
    parser.set_defaults(warmup=1, iter=1)
    return parser
