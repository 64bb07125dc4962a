# Every command a newcomer needs. `make` lists them.
# quiet.env: no telemetry, no library noise, loopback only. The container image reads the same file.
include quiet.env
export $(shell sed -n 's/=.*//p' quiet.env)
export TEXT
.DEFAULT_GOAL := help
PYTHON := .venv/bin/python

.PHONY: help setup setup-dev run chat train test check evaluate explain answers thresholds benchmark benchmark-understanding encoder lock clean

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

check: setup-dev ## the checks that need no model: style, types, content
	@$(PYTHON) -m commands.check
	@$(PYTHON) -m pytest -m "not model"

evaluate: setup ## how well messages are understood (DATA=<folder> for your own)
	@$(PYTHON) -m commands.train
	@$(PYTHON) -m commands.evaluate $(if $(DATA),--data $(DATA))

explain: setup ## why a message is understood as it is (TEXT="does it hurt")
	@$(PYTHON) -m commands.train
	@$(PYTHON) -m commands.explain "$$TEXT"

answers: setup-dev ## one page of every answer, for a clinician to review: results/answers.html
	@$(PYTHON) -m commands.answers

thresholds: setup ## calibrate confidence and choose thresholds on out-of-fold scores, into config.yml
	@$(PYTHON) -m commands.thresholds

benchmark: benchmark-understanding ## every comparison with the stock Rasa configuration (about half an hour)

benchmark-understanding: setup ## understanding beside the stock Rasa configuration (DATA=<folder of public sets>)
	@$(PYTHON) -m benchmarks.understanding $(if $(DATA),--data $(DATA))

encoder: ## teach the sentence encoder anew (Python 3.11 and torch, in encoder/.venv; about half an hour)
	@sh encoder/setup.sh
	@encoder/.venv/bin/python -W ignore encoder/teach.py

lock: setup ## compile the hash-locked requirements after changing a .in file
	@sh commands/setup.sh --lock

clean: ## remove the environment, models and caches
	rm -rf .venv .tools .rasa models results
