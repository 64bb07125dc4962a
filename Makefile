# Every command a newcomer needs. `make` lists them.
# quiet.env: no telemetry, no library noise, loopback only, a terminal chat that waits out a slow turn. The container image reads the same file.
include quiet.env
export $(shell sed -n 's/=.*//p' quiet.env)
export TEXT
.DEFAULT_GOAL := help
PYTHON := .venv/bin/python

.PHONY: help setup setup-dev run chat train test test-services check evaluate explain answers examples figures renderings channels-check thresholds benchmark benchmark-understanding benchmark-speed encoder widget check-widget test-browser pictures lock clean \
  conversations-purge conversations-erase conversations-export conversations-waiting benchmark-conversations soak

help: ## list the commands
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 32

setup:
	@sh commands/setup.sh requirements.txt

setup-dev:
	@sh commands/setup.sh requirements.txt requirements-dev.txt

run: setup ## start the assistant on http://127.0.0.1:5005 (PORT=... to change)
	@$(PYTHON) -m commands.run

chat: setup ## chat in the terminal
	@$(PYTHON) -m commands.run --shell

train: setup ## train, if anything changed since the last model
	@$(PYTHON) -m commands.train

test: setup-dev ## everything: checks, tests, training, a chat over HTTP
	@$(PYTHON) -m commands.check
	@$(PYTHON) -m commands.train
	@$(PYTHON) -m pytest

test-services: setup-dev ## real servers, broken on purpose: PostgreSQL, Redis, action server, assistant (some minutes)
	@sh commands/services.sh
	@$(PYTHON) -m commands.train
	@$(PYTHON) -m pytest -m services

check: setup-dev ## the checks that need no model: style, types, content
	@$(PYTHON) -m commands.check
	@$(PYTHON) -m pytest -m "not model and not services"

evaluate: setup ## how well messages are understood (DATA=<folder> for your own)
	@$(PYTHON) -m commands.train
	@$(PYTHON) -m commands.evaluate $(if $(DATA),--data $(DATA))

explain: setup ## why a message is understood as it is (TEXT="does it hurt")
	@$(PYTHON) -m commands.train
	@$(PYTHON) -m commands.explain "$$TEXT"

answers: setup-dev ## one page of every answer, for a clinician to review: results/answers.html
	@$(PYTHON) -m commands.answers

examples: setup-dev ## how varied the training examples of each intent are: docs/examples.md; fails on near-duplicates
	@$(PYTHON) -m commands.examples

figures: setup-dev ## words, reading grade and sources of every answer: docs/content-figures.md and docs/quality.md
	@$(PYTHON) -m commands.figures

renderings: setup-dev ## how every reply looks on every messaging platform: results/renderings/, and tests/golden/ anew
	@$(PYTHON) -m commands.renderings

channels-check: setup ## check the messaging credentials without writing to anybody (CREDENTIALS=credentials.production.yml)
	@$(PYTHON) -m commands.channels_check $(CREDENTIALS)

thresholds: setup ## calibrate confidence and choose thresholds on out-of-fold scores, into config.yml
	@$(PYTHON) -m commands.thresholds

benchmark: benchmark-understanding ## every comparison with the stock Rasa configuration (about half an hour)

benchmark-understanding: setup ## understanding beside the stock Rasa configuration (DATA=<folder of public sets>)
	@sh encoder/setup.sh
	@$(PYTHON) -m benchmarks.understanding $(if $(DATA),--data $(DATA))

benchmark-speed: setup ## how long understanding a message takes
	@$(PYTHON) -m benchmarks.speed

benchmark-conversations: setup ## what turn 3, 30 and 300 of a conversation cost, beside Rasa's own store
	@$(PYTHON) -m commands.train
	@$(PYTHON) -m benchmarks.conversations

soak: setup-dev ## send messages while database, action server and assistant are killed at random (MINUTES=20)
	@sh commands/services.sh
	@$(PYTHON) -m commands.train
	@$(PYTHON) -m tests.services.soak $(if $(MINUTES),--minutes $(MINUTES))

conversations-purge: setup ## remove conversations idle for DAYS=30 days
	@$(PYTHON) -m commands.conversations purge $(if $(DAYS),--days $(DAYS))

conversations-erase: setup ## remove one conversation (ID=...)
	@$(PYTHON) -m commands.conversations erase $(ID)

conversations-export: setup ## print everything stored of one conversation (ID=...)
	@$(PYTHON) -m commands.conversations export $(ID)

conversations-waiting: setup ## list the conversations whose patient asked for a person (ANSWERED=<id> takes one off)
	@$(PYTHON) -m commands.conversations waiting $(if $(ANSWERED),--answered $(ANSWERED))

encoder: ## teach the sentence encoder anew (Python 3.11 and torch, in encoder/.venv; 40 minutes with OPTIONS=--bfloat16)
	@sh encoder/setup.sh
	@encoder/.venv/bin/python -W ignore encoder/teach.py $(OPTIONS)

widget: widget/node_modules ## build the website's widget anew (Node 20) into addons/channels/web/static/
	@cd widget && npm run --silent build

check-widget: widget/node_modules ## the widget's types and unit tests, and whether its built files are up to date
	@cd widget && npm run --silent check && npm run --silent test && node build.mjs --check

test-browser: check-widget setup ## the website's chat in Chromium, against the running assistant
	@sh commands/browser.sh
	@$(PYTHON) -m commands.train
	@cd widget && npm run --silent test-browser

pictures: widget/node_modules setup ## the pictures of docs/images, taken from the running assistant
	@sh commands/browser.sh
	@$(PYTHON) -m commands.train
	@cd widget && npm run --silent pictures

widget/node_modules: widget/package-lock.json
	@command -v npm > /dev/null || { echo "The widget is built with Node 20 and npm; install them (apt-get install nodejs npm)."; exit 1; }
	@cd widget && npm ci --silent && touch node_modules

lock: setup ## compile the hash-locked requirements after changing a .in file
	@sh commands/setup.sh --lock

clean: ## remove the environment, models and caches
	rm -rf .venv .tools .rasa models results
