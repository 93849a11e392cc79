"""The help of every command is a screen or two, and lists no classes of torch."""

import pytest

from seglight.__main__ import COMMANDS, main

LINES, WIDTH = 60, 120
SHORTER = {"fit": (50, 100), "validate": (50, 100), "test": (50, 100)}


def shown(capsys: pytest.CaptureFixture[str], *args: str) -> str:
    try:
        assert main(list(args)) == 0
    except SystemExit as ended:  # of the parsers
        assert not ended.code  # noqa: PT017
    return capsys.readouterr().out


@pytest.mark.parametrize("command", list(COMMANDS))
def test_help_of_a_command(command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    text = shown(capsys, command, "--help")
    assert text.startswith(f"usage: seglight {command}")
    lines, width = SHORTER.get(command, (LINES, WIDTH))
    assert len(text.splitlines()) <= lines
    assert max(map(len, text.splitlines())) <= width
    assert "torch.nn" not in text
    assert "timm.layers" not in text


def test_help_of_all_commands(capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(capsys, "--help")
    assert len(text.splitlines()) <= LINES
    assert max(map(len, text.splitlines())) <= 100
    assert all(f"  {name} " in text for name in COMMANDS)


def test_everything_is_shown_on_demand(capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(capsys, "fit", "--help_all")
    assert len(text.splitlines()) > 500
    for option in ("--trainer.max_epochs", "--model.aux_weight", "--data.help", "--logger", "--early_stopping"):
        assert option in text
