"""README's picture, docs/report.png: the first screen of docs/index.html, by headless Chromium. `make docs` runs it."""

import shutil
import subprocess
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent


def main() -> None:
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        print(
            "No Chromium here: docs/report.png stays as it is. Install Debian's package `chromium` and run `make docs` again."
        )
        return
    with tempfile.TemporaryDirectory() as profile:
        command = [
            browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--blink-settings=preferredColorScheme=1",
            "--window-size=1400,760", f"--user-data-dir={profile}", f"--screenshot={HERE / 'report.png'}",
            (HERE / "index.html").as_uri(),
        ]  # fmt: skip
        subprocess.run(command, check=True, capture_output=True, timeout=300)


if __name__ == "__main__":
    main()
