"""What deploy/build_in_chroot.py reads of the Dockerfile and of .dockerignore."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from deploy.build_in_chroot import PROJECT, read_dockerfile, read_dockerignore

WORDS = st.text(st.characters(categories=["L", "N"], codec="ascii"), min_size=1)


def test_the_dockerfile_ends_with_the_command_in_exec_form() -> None:
    steps = list(read_dockerfile((PROJECT / "Dockerfile").read_text()))
    assert steps[0][0] == "FROM"
    assert steps[-1] == ("CMD", '["python", "app.py"]')


def test_comments_go_even_between_the_lines_of_one_step() -> None:
    text = "# syntax\nrun one \\\n    # why\n    && two\n\nUSER kaiwa\n"
    assert list(read_dockerfile(text)) == [("RUN", "one     && two"), ("USER", "kaiwa")]


@given(st.lists(st.lists(WORDS, min_size=1), max_size=5))
def test_a_step_is_the_same_however_its_lines_are_cut(steps: list[list[str]]) -> None:
    whole = "\n".join("RUN " + " ".join(words) for words in steps)
    cut = "\n".join("RUN " + " \\\n".join(words) for words in steps)
    assert list(read_dockerfile(whole)) == list(read_dockerfile(cut))


def test_only_what_runs_goes_to_the_builder() -> None:
    is_kept = read_dockerignore((PROJECT / ".dockerignore").read_text())
    for path in ("app.py", "requirements.txt", "voice/audio.py", "voice/web/assets/page.css"):
        assert is_kept(path), path
    for path in (".env", ".git/config", "README.md", "tests/conftest.py", "voice/__pycache__/audio.pyc"):
        assert not is_kept(path), path


@given(st.lists(WORDS, min_size=1))
def test_the_last_pattern_that_matches_decides(parts: list[str]) -> None:
    path = "/".join(parts)
    assert not read_dockerignore("*")(path)
    assert read_dockerignore(f"*\n!{parts[0]}")(path)
    assert not read_dockerignore(f"*\n!{parts[0]}\n**/{parts[-1]}")(path)


def test_the_container_is_healthy_when_the_engines_are_ready() -> None:
    steps = dict(read_dockerfile((PROJECT / "Dockerfile").read_text()))
    assert "'/healthz'" in steps["HEALTHCHECK"]
