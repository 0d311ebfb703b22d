import torch
from common import fill
from torch import nn
from torch.utils.data import DataLoader

TOPICS = {
    1: ["the team won the match", "a goal in the last minute", "the coach praised the players", "fans filled the stadium"],
    2: ["shares fell on the market", "the bank raised its rates", "profits of the company rose", "investors sold their bonds"],
    3: ["a probe reached the planet", "the chip doubles its speed", "researchers trained a network", "a telescope saw a star"],
}
data = [
    (label, text) for i in range(4) for label, texts in TOPICS.items() for text in (texts[i], texts[i] + " " + texts[i - 1])
]
words = sorted({word for _, text in data for word in text.split()})
vocab = {word: i for i, word in enumerate(words)}


def collate_batch(batch):
    label_list, text_list, offsets = [], [], [0]
    for _label, _text in batch:
        label_list.append(_label - 1)
        processed_text = torch.tensor([vocab[word] for word in _text.split()], dtype=torch.int64)
        text_list.append(processed_text)
        offsets.append(processed_text.size(0))
    offsets = torch.tensor(offsets[:-1]).cumsum(dim=0)
    return torch.tensor(label_list, dtype=torch.int64), torch.cat(text_list), offsets


class TextClassificationModel(nn.Module):
    def __init__(self, vocab_size, embed_dim, num_class, mode):
        super().__init__()
        self.embedding = nn.EmbeddingBag(vocab_size, embed_dim, mode=mode)
        self.fc = nn.Linear(embed_dim, num_class)
        self.init_weights()

    def init_weights(self):
        initrange = 0.5
        self.embedding.weight.data.uniform_(-initrange, initrange)
        self.fc.weight.data.uniform_(-initrange, initrange)
        self.fc.bias.data.zero_()

    def forward(self, text, offsets):
        return self.fc(self.embedding(text, offsets))


for mode in ("mean", "sum"):
    model = fill(TextClassificationModel(len(vocab), 8, 3, mode))
    criterion = torch.nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=2.0)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 3, gamma=0.1)
    dataloader = DataLoader(data, batch_size=8, shuffle=False, collate_fn=collate_batch)
    for epoch in range(4):
        model.train()
        total_acc, total_count = 0, 0
        for label, text, offsets in dataloader:
            optimizer.zero_grad()
            predicted_label = model(text, offsets)
            loss = criterion(predicted_label, label)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 0.1)
            optimizer.step()
            total_acc += (predicted_label.argmax(1) == label).sum().item()
            total_count += label.size(0)
        scheduler.step()
        print(f"{mode} | epoch {epoch} | loss {loss.item():.6f} | accuracy {total_acc / total_count:.3f}")
