"""The network: embedding, LSTM layers, decoder."""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...data.text import describe
from ...runs import Task

OUTPUT = "decoder"
Hidden = tuple[Tensor, Tensor]  # output and cell of each layer, [layers, B, hidden]


class LanguageModel(nn.Module):
    """Tokens [T, B] and the hidden state before them -> logits [T, B, vocabulary] of what comes next, and the
    hidden state after them.

    Each layer is torch's own LSTM, cuDNN's where there is a GPU. Dropout between them is not cuDNN's, whose
    random state cannot be saved.
    """

    def __init__(self, task: Task) -> None:
        super().__init__()
        vocabulary, width, hidden = describe(task["dataset"]).vocabulary, task["embedding"], task["hidden"]
        self.dropout = task["dropout"]
        self.embedding = nn.Embedding(vocabulary, width)
        nn.init.uniform_(self.embedding.weight, -task["embedding_scale"], task["embedding_scale"])
        widths = [width, *[hidden] * task["layers"]]
        self.lstm = nn.ModuleList(nn.LSTM(*both) for both in pairwise(widths))
        self.decoder = nn.Linear(hidden, vocabulary)
        if task["tied"]:
            self.decoder.weight = self.embedding.weight

    def forward(self, tokens: Tensor, before: Hidden | None = None) -> tuple[Tensor, Hidden]:
        x = F.dropout(self.embedding(tokens), self.dropout["embedding"], self.training)
        after = []
        for number, layer in enumerate(self.lstm):
            if number:
                x = F.dropout(x, self.dropout["layers"], self.training)
            begin = None if before is None else tuple(part[number : number + 1] for part in before)
            x, end = layer(x, begin)
            after.append(end)
        logits = self.decoder(F.dropout(x, self.dropout["output"], self.training))
        outputs, cells = zip(*after, strict=True)
        return logits, (torch.cat(outputs), torch.cat(cells))
