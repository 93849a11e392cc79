"""`seglight completion`: what shells complete with its scripts."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from seglight.__main__ import COMMANDS, main
from seglight.commands.completion import TOPICS, commands_of, parser, script
from seglight.commands.fit.options import add_options
from seglight.commands.fit.run_loggers import LOGGERS
from seglight.system.parsing import new_parser

COMPLETE = """
COMP_WORDS=("${@:2}")
COMP_CWORD=$(($# - 2))
COMP_LINE="${*:2}"
COMP_POINT=${#COMP_LINE}
source "$1"
_shtab_seglight
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture(scope="module")
def bash_script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("completion") / "seglight.bash"
    path.write_text(script("bash"))
    return path


def completed(path: Path, *words: str) -> set[str]:
    """What bash proposes for the last word."""
    done = subprocess.run(["bash", "-c", COMPLETE, "bash", path, *words], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_bash_completes_commands_options_classes_and_files(bash_script: Path, tmp_path: Path) -> None:
    assert completed(bash_script, "seglight", "val") == {"validate"}
    assert {"--data", "--data.root", "--data.augmentation.crop_size"} <= completed(
        bash_script, "seglight", "fit", "--da"
    )
    assert completed(bash_script, "seglight", "fit", "--data", "CamVidD") == {"CamVidDataModule"}
    assert completed(bash_script, "seglight", "fit", "--model.loss", "OH") == {"OHEMCrossEntropy"}
    assert completed(bash_script, "seglight", "fit", "--model.net.decoder", "FP") == {"FPN"}
    assert completed(bash_script, "seglight", "fit", "--help", "tra") == {"trainer"}
    assert completed(bash_script, "seglight", "fit", "--logger", "ten") == {"tensorboard"}
    assert completed(bash_script, "seglight", "doctor", "--fi") == {"--fix"}
    assert completed(bash_script, "seglight", "completion", "") == {"bash", "zsh", "fish"}
    (tmp_path / "recipe.yaml").touch()
    assert completed(bash_script, "seglight", "fit", "-c", f"{tmp_path}/rec") == {f"{tmp_path}/recipe.yaml"}


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_scripts_have_the_syntax_of_their_shell(shell: str, tmp_path: Path) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    (tmp_path / "script").write_text(script(shell))
    subprocess.run([shell, "-n", tmp_path / "script"], check=True)


def test_the_table_of_commands_is_that_of_main() -> None:
    assert commands_of() == COMMANDS


def test_options_are_those_of_the_parsers() -> None:
    """Of `fit`, those of a run; of others, some of each."""
    own = new_parser("fit")
    add_options(own)
    (commands,) = (action for action in parser()._actions if isinstance(action.choices, dict))
    options = {name: set(command._option_string_actions) for name, command in commands.choices.items()}
    assert {f"--{key}" for key in own.get_defaults().keys()} <= options["fit"]  # noqa: SIM118
    assert {"--model.weights", "--trainer.max_epochs", "--ckpt_path", "--config", "-c"} <= options["fit"]
    assert {"--out", "--save", "--max_memory", "--batch"} <= options["predict"]
    assert {"--out", "--greedy", "--data.root"} <= options["soup"]
    assert {"--size", "--json", "--model.net.encoder.name"} <= options["summary"]
    assert not {option for names in options.values() for option in names if "init_args" in option}
    (logger,) = (action for action in commands.choices["fit"]._actions if "--logger" in action.option_strings)
    assert set(logger.choices or ()) == set(LOGGERS)
    (topic,) = (action for action in commands.choices["fit"]._actions if "--help" in action.option_strings)
    assert set(TOPICS) <= set(topic.choices or ())


def test_it_imports_nothing_heavy() -> None:
    code = (
        "import sys; from seglight.__main__ import main; main(['completion', 'bash']); "
        "print('LOADED', *{name.partition('.')[0] for name in sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not set(done.stdout.splitlines()[-1].split()) & {"torch", "lightning", "numpy", "timm"}


def test_mistakes_are_one_line(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert main(["completion", "tcsh"]) == 2
    assert capsys.readouterr().err.startswith("seglight: error: shell: expected 'bash', 'zsh' or 'fish', got 'tcsh'")
    monkeypatch.setattr("seglight.commands.completion.find_spec", lambda name: None)
    assert main(["completion", "bash"]) == 2
    assert "the package shtab is missing: pip install 'seglight[completion]'" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["completion", "--help"])
    assert "seglight completion bash >" in capsys.readouterr().out
