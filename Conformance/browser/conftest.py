# SignalBox: a server, a headless Chromium and its tabs, for the browser tests.
# SPDX-License-Identifier: Apache-2.0
#
# SCREENSHOT_DIR names the folder where screenshots go, if anywhere.

import os
import pathlib

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from harness.server import Server, lasting_port

PATIENCE = 30  # seconds a condition may take on a busy machine


class Playground:
    """A service with the playground, which can be stopped and started on the same port."""

    def __init__(self):
        self.port = lasting_port()

    def start(self):
        self.service = Server("--playground", "--no-auth", port=self.port)
        self.url = self.service.url

    def stop(self):
        assert self.service.stop() == 0, self.service.output()


class Tab:
    """One page in a window of its own, so that it counts as visible beside the others."""

    def __init__(self, driver, base):
        self.driver = driver
        self.base = base
        driver.switch_to.new_window("window")
        driver.set_window_size(1360, 1000)
        self.handle = driver.current_window_handle

    def use(self):
        self.driver.switch_to.window(self.handle)
        return self.driver

    def before_load(self, source):
        """Runs a script in the page before any of its own."""
        self.use().execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": source})

    def open(self, path="/"):
        self.use().get(self.base + path)
        return self

    def open_connected(self, path="/"):
        self.open(path)
        self.until_state("Connected")
        return self

    def close(self):
        self.use().close()

    def find(self, selector):
        return self.use().find_element(By.CSS_SELECTOR, selector)

    def all(self, selector):
        return self.use().find_elements(By.CSS_SELECTOR, selector)

    def click(self, selector):
        # Not by coordinates: what is tested is the page, not where it happens to be scrolled.
        self.js("arguments[0].click()", self.find(selector))

    def fill(self, selector, text):
        field = self.find(selector)
        field.clear()
        field.send_keys(text)

    def js(self, script, *args):
        return self.use().execute_script(script, *args)

    def until(self, condition, what):
        self.use()
        return WebDriverWait(self.driver, PATIENCE, poll_frequency=0.05).until(lambda _: condition(), message=what)

    def until_state(self, state, transport=None):
        def reached():
            mark = self.find("#state")
            return mark.get_attribute("data-state") == state and (
                transport is None or mark.get_attribute("data-transport") == transport
            )

        self.until(reached, f"#state to be {state} {transport or ''}")

    def run(self, body, *args):
        """Runs async JavaScript with HubConnection at hand, on a page without any of its own; returns its value."""
        if not self.use().current_url.startswith(self.base):
            self.open("/signalbox.js")
        outcome = self.use().execute_async_script(
            """
            const done = arguments[arguments.length - 1];
            const args = [...arguments].slice(0, -1);
            (async () => {
                const { HubConnection } = await import("/signalbox.js");
                const until = async (condition) => {
                    while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
                };
                %s
            })().then((value) => done({ value }), (error) => done({ error: `${error.message}\\n${error.stack}` }));
            """
            % body,
            *args,
        )
        assert "error" not in outcome, outcome["error"]
        return outcome["value"]

    def screenshot(self, name):
        folder = os.environ.get("SCREENSHOT_DIR")
        if folder:
            pathlib.Path(folder).mkdir(parents=True, exist_ok=True)
            self.use().save_screenshot(str(pathlib.Path(folder) / f"{name}.png"))


@pytest.fixture(scope="session")
def server():
    playground = Playground()
    playground.start()
    yield playground
    playground.stop()


@pytest.fixture(scope="session")
def driver():
    options = webdriver.ChromeOptions()
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"):
        options.add_argument(argument)
    # Tests can ask what pages wrote to the console.
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    running = webdriver.Chrome(options, webdriver.ChromeService("/usr/bin/chromedriver"))
    running.set_script_timeout(PATIENCE)
    yield running
    running.quit()


@pytest.fixture
def new_tab(driver, server):
    """Makes tabs, and closes them after the test."""
    home = driver.current_window_handle
    tabs = []

    def make(base=server.url):
        tabs.append(Tab(driver, base))
        return tabs[-1]

    yield make
    for tab in tabs:
        tab.close()
    driver.switch_to.window(home)


@pytest.fixture
def tab(new_tab):
    return new_tab()
