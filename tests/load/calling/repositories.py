"""Made-up repositories, each with its own way of saying what its models are called with.

REPOSITORIES["keyword by a key"].files       name -> text
REPOSITORIES["keyword by a key"].called      target -> the inputs that are found, as the report has them
"""

from __future__ import annotations

import textwrap
from dataclasses import dataclass


@dataclass(frozen=True)
class Repository:
    """The files of a repository, and the inputs of its models."""

    files: dict[str, str]
    called: dict[str, str]


def repository(called: dict[str, str], **files: str) -> Repository:
    """A repository; its files may be indented, and begin after a line break; `model__py` stands for model.py."""
    texts = {name.replace("__", "."): textwrap.dedent(text).lstrip("\n") for name, text in files.items()}
    return Repository({name: f"import torch\nfrom torch import nn\n{text}" for name, text in texts.items()}, called)


REPOSITORIES = {
    "a decoder of captions, whose docstring says which column the lengths are": repository(
        {"decoder.py:Decoder": "features float32 (2, 8, 8, 12), captions int64 (2, 16), caption_lengths int64 (2, 1)"},
        decoder__py="""
        class Decoder(nn.Module):
            def __init__(self):
                super().__init__()
                self.words, self.start = nn.Embedding(40, 6), nn.Linear(12, 8)
                self.step, self.tell = nn.LSTMCell(6 + 12, 8), nn.Linear(8, 40)

            def forward(self, features, captions, caption_lengths):
                \"\"\"
                :param features: a tensor of dimension (batch_size, image_size, image_size, feature_dim)
                :param captions: a tensor of dimension (batch_size, max_caption_length)
                :param caption_lengths: a tensor of dimension (batch_size, 1)
                \"\"\"
                features = features.view(len(features), -1, features.size(-1))
                caption_lengths, order = caption_lengths.squeeze(1).sort(dim=0, descending=True)
                features, words = features[order], self.words(captions[order])
                h = c = self.start(features.mean(1))
                lengths = (caption_lengths - 1).tolist()
                scores = torch.zeros(len(features), max(lengths), 40)
                for step in range(max(lengths)):
                    on = sum(length > step for length in lengths)
                    h, c = self.step(torch.cat([words[:on, step], features[:on].mean(1)], 1), (h[:on], c[:on]))
                    scores[:on, step] = self.tell(h)
                return scores, lengths
        """,
    ),
    "numbers that stand in the file": repository(
        {"reader.py:reader": "words int64 (1, 6)", "taker.py:taker": "x float32 (2, 3, 4)"},
        reader__py="""
        from torch.autograd import Variable

        class Reader(nn.Module):
            def __init__(self):
                super().__init__()
                self.look_up, self.read, self.tell = nn.Embedding(5, 10), nn.RNN(10, 5, batch_first=True), nn.Linear(5, 5)

            def forward(self, words):
                start = torch.zeros(1, words.size(0), 5)
                return self.tell(self.read(self.look_up(words).view(1, 6, -1), start)[0].reshape(-1, 5))

        data = [[0, 1, 0, 2, 3, 3]]
        words = Variable(torch.LongTensor(data))
        reader = Reader()
        for epoch in range(3):
            out = reader(words)
        """,
        taker__py="""
        class Taker(nn.Module):
            def __init__(self):
                super().__init__()
                self.layer = nn.Linear(12, 5)

            def forward(self, x):
                return self.layer(x.view(-1, 3 * 4))

        taker = Taker()
        print(taker(torch.tensor([[[0.0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]] * 2)))
        """,
    ),
    "the side of the images is an attribute": repository(
        {"model.py:Judge": "x float32 (2, 3, 48, 48)"},
        model__py="""
        class Judge(nn.Module):
            def __init__(self, image_size=48):
                super().__init__()
                self.imsize = image_size
                self.look, self.tell = nn.Conv2d(3, 8, 4, 4), nn.Conv2d(8, 1, 4)

            def forward(self, x):
                return self.tell(torch.relu(self.look(x))).mean((1, 2, 3))
        """,
    ),
    "keyword by a key": repository(
        {"model.py:Painter": "z float32 (2, 12), colours float32 (2, 6)"},
        model__py="""
        class Painter(nn.Module):
            def __init__(self):
                super().__init__()
                self.paint, self.draw = nn.Linear(6, 20), nn.Linear(32, 3)

            def forward(self, z, **options):
                return self.draw(torch.cat([z, self.paint(options["colours"].float())], 1))
        """,
    ),
    "a batch that is taken apart": repository(
        {"model.py:Reader": "batch.0 int64 (2, 16), batch.1 int64 (2,), batch.2 float32 (2, 40, 16)"},
        model__py="""
        from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

        class Reader(nn.Module):
            def __init__(self):
                super().__init__()
                self.look_up, self.read = nn.Embedding(70, 24), nn.GRU(24, 24, batch_first=True)
                self.listen, self.tell = nn.Conv1d(40, 24, 3, padding=1), nn.Linear(24, 5)

            def forward(self, batch):
                tokens, token_lengths, sound = batch
                packed = pack_padded_sequence(self.look_up(tokens), token_lengths.cpu(), batch_first=True)
                read, _ = pad_packed_sequence(self.read(packed)[0], batch_first=True)
                return self.tell(read.mean(1) + self.listen(sound).mean(2))
        """,
    ),
    "states in a list that the model makes": repository(
        {
            "model.py:Stack": "words int64 (16, 2), carried.0.0 float32 (1, 2, 14), carried.0.1 float32 (1, 2, 14), "
            "carried.1.0 float32 (1, 2, 10), carried.1.1 float32 (1, 2, 10)",
            "cell.py:Step": "x float32 (2, 9), state float32 (2, 11)",
        },
        model__py="""
        class Stack(nn.Module):
            def __init__(self):
                super().__init__()
                self.table = nn.Embedding(50, 10)
                self.layers = nn.ModuleList([nn.LSTM(10, 14), nn.LSTM(14, 10)])
                self.out = nn.Linear(10, 50)

            def begin_state(self, bsz):
                zeros = self.out.weight.new_zeros
                return [(zeros(1, bsz, n.hidden_size), zeros(1, bsz, n.hidden_size)) for n in self.layers]

            def forward(self, words, carried_states):
                x = self.table(words)
                after = []
                for number, layer in enumerate(self.layers):
                    x, state = layer(x, carried_states[number])
                    after.append(state)
                return self.out(x), after
        """.replace("carried_states", "carried"),
        cell__py="""
        class Step(nn.Module):
            def __init__(self):
                super().__init__()
                self.mix, self.out = nn.Linear(9 + 11, 11), nn.Linear(11, 2)

            def initHidden(self, batch_size=1):
                return torch.zeros(batch_size, 11)

            def forward(self, x, state):
                state = torch.tanh(self.mix(torch.cat((x, state), 1)))
                return self.out(state), state
        """,
    ),
    "an object with attributes": repository(
        {
            "graphs.py:Molecules": "data.atoms float32 (2, 7), data.edge_index int64 (2, 8), data.edge_attr float32 (8, 4), "
            "data.batch int64 (2,)",
            "text.py:Pair": "batch.premise int64 (2, 16), batch.hypothesis int64 (2, 16)",
            "tagger.py:Tagger": "batch.attention_mask int64 (2, 16), batch.input_ids int64 (2, 16)",
        },
        graphs__py="""
        class Molecules(nn.Module):
            def __init__(self):
                super().__init__()
                self.atoms, self.bonds, self.out = nn.Linear(7, 16), nn.Linear(4, 16), nn.Linear(16, 1)

            def forward(self, data):
                x, edges = self.atoms(data.atoms), data.edge_index
                messages = torch.relu(x[edges[0]] + self.bonds(data.edge_attr))
                x = x.index_add(0, edges[1], messages)
                pooled = x.new_zeros(4, 16).index_add(0, data.batch, x)
                return self.out(torch.relu(pooled))
        """,
        text__py="""
        class Pair(nn.Module):
            def __init__(self):
                super().__init__()
                self.embed, self.out = nn.Embedding(90, 12), nn.Linear(24, 3)

            def forward(self, batch):
                premise, hypothesis = self.embed(batch.premise).mean(1), self.embed(batch.hypothesis).mean(1)
                return self.out(torch.cat([premise, hypothesis], -1))
        """,
        tagger__py="""
        class Tagger(nn.Module):
            def __init__(self):
                super().__init__()
                self.embed, self.out = nn.Embedding(90, 12), nn.Linear(12, 3)

            def forward(self, batch):
                batch = {name: value for name, value in batch.items()} if isinstance(batch, dict) else batch
                weight = batch["attention_mask"].unsqueeze(-1).float()
                return self.out((self.embed(batch["input_ids"]) * weight).sum(1))
        """,
    ),
    "a call in the file": repository(
        {
            "net.py:Points": "cloud float32 (2, 3, 300), as net.py:14 calls it",
            "speech.py:Heard": "sound float32 (2, 1, 4000), rate = 8000, as try_it.py:8 calls it",
            "wide.py:Wide": "picture float32 (2, 4, 40, 56), as wide.py:15 calls it",
        },
        net__py="""
        class Points(nn.Module):
            def __init__(self):
                super().__init__()
                self.lift, self.out = nn.Conv1d(3, 32, 1), nn.Linear(32, 4)

            def forward(self, cloud):
                return self.out(torch.max(torch.relu(self.lift(cloud)), 2)[0])

        if __name__ == "__main__":
            cloud = torch.rand(1, 3, 300)
            points = Points()
            print(points(cloud).shape)
        """,
        speech__py="""
        class Heard(nn.Module):
            def __init__(self):
                super().__init__()
                self.listen, self.out = nn.Conv1d(1, 8, 400, stride=160), nn.Linear(8, 4)

            def forward(self, sound, rate):
                return self.out(self.listen(sound * (16000 / rate)).mean(2))
        """,
        try_it__py="""
        from speech import Heard

        def main():
            model = Heard().to("cpu")
            sound = torch.zeros(4000).view(1, 1, -1)
            return model(sound, 8000)
        """,
        wide__py="""
        from torchsummary import summary

        class Wide(nn.Module):
            def __init__(self):
                super().__init__()
                self.body, self.out = nn.Conv2d(4, 8, 3, padding=1), nn.Linear(8 * 40 * 56, 3)

            def forward(self, picture):
                return self.out(torch.relu(self.body(picture)).flatten(1))

        if __name__ == "__main__":
            wide = Wide()
            print(summary(wide, (4, 40, 56)))
        """,
    ),
    "axes in words": repository(
        {
            "words.py:Translate": "source int64 (16, 2), target int64 (12, 2), inferred",
            "film.py:Film": "clip float32 (2, 16, 3, 224, 224), inferred",
        },
        words__py="""
        class Translate(nn.Module):
            def __init__(self):
                super().__init__()
                self.look_up, self.out = nn.Embedding(60, 20), nn.Linear(20, 60)

            def forward(self, source, target):
                # source = [source len, batch size]
                # target = [target len, batch size]
                context = self.look_up(source).mean(0)
                return self.out(torch.tanh(self.look_up(target) + context))
        """,
        film__py="""
        class Film(nn.Module):
            def __init__(self):
                super().__init__()
                self.see, self.out = nn.Conv2d(3, 8, 3), nn.Linear(8, 5)

            def forward(self, clip):
                \"\"\"Classify.

                Args:
                    clip (torch.Tensor): frames of shape (B, T, C, H, W)
                \"\"\"
                frames = self.see(clip.flatten(0, 1)).mean((2, 3))
                return self.out(frames.unflatten(0, clip.shape[:2]).mean(1))
        """,
    ),
    "images of the size that the project has": repository(
        {"small.py:Small": "x float32 (2, 3, 32, 32)"},
        small__py="""
        class Small(nn.Module):
            def __init__(self):
                super().__init__()
                self.body = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
                self.out = nn.Linear(8, 10)

            def forward(self, x):
                return self.out(self.body(x))
        """,
        train__py="""
        from small import Small

        def data():
            from torchvision import datasets, transforms
            return datasets.CIFAR10("data", transform=transforms.ToTensor())
        """,
    ),
    "shapes with sums and products in comments": repository(
        {"model.py:Attend": "state float32 (2, 18), states float32 (16, 2, 18), lengths int64 (2,)"},
        model__py="""
        class Attend(nn.Module):
            def __init__(self):
                super().__init__()
                self.near, self.score = nn.Linear(12 + 24, 8), nn.Linear(8, 1)

            def forward(self, state, states, lengths):
                # state = [batch size, hid dim]
                # states = [src len, batch size, enc hid dim * 2]
                # lengths = [batch size]
                wide = torch.cat([state.unsqueeze(0).expand(len(states), -1, -1), states], 2)
                return torch.softmax(self.score(torch.tanh(self.near(wide))).squeeze(2), 0) * lengths
        """,
    ),
    "values in a range that forward checks": repository(
        {"model.py:Flow": "x float32 (2, 3, 28, 28)", "model.py:Mix": "left float32 (2, 5), right float32 (2, 5)"},
        model__py="""
        class Flow(nn.Module):
            def __init__(self):
                super().__init__()
                self.scale = nn.Conv2d(3, 6, 1)

            def forward(self, x):
                if x.min() < 0 or x.max() > 1:
                    raise ValueError(f"expected x in [0, 1], got {x.min()} to {x.max()}")
                return self.scale(x.log1p())

        class Mix(nn.Module):
            def __init__(self):
                super().__init__()
                self.near, self.far = nn.Linear(5, 2), nn.Linear(5, 2)

            def forward(self, left, right):
                assert (left >= 0).all() and not torch.any(left > 1)
                return self.near(left.sqrt()) + self.far(right)

        # transforms.Resize(28)
        """,
    ),
    "one observation at a time": repository(
        {"policy.py:Policy": "x float32 (4,), as policy.py:13 calls it, without a batch", "critic.py:Critic": "x float32 (2, 4)"},
        policy__py="""
        class Policy(nn.Module):
            def __init__(self):
                super().__init__()
                self.near, self.far = nn.Linear(4, 64), nn.Linear(64, 2)

            def forward(self, x):
                return torch.softmax(self.far(torch.relu(self.near(x))), dim=0)

        def act(policy, state):
            state = torch.from_numpy(state).float()
            return policy(state).argmax().item()
        """,
        critic__py="""
        class Critic(nn.Module):
            def __init__(self):
                super().__init__()
                self.near, self.far = nn.Linear(4, 64), nn.Linear(64, 1)

            def forward(self, x):
                return self.far(torch.relu(self.near(x)))

        critic = Critic()

        def value(state):
            return critic(torch.from_numpy(state).float())

        def loss(batch):
            return critic(batch.states).mean()
        """,
    ),
    "a label for each place": repository(
        {"model.py:Read": "x int64 (2, 16), segment_label int64 (2, 16)"},
        model__py="""
        class Read(nn.Module):
            def __init__(self):
                super().__init__()
                self.words, self.segments, self.out = nn.Embedding(40, 12), nn.Embedding(3, 12), nn.Linear(12, 2)

            def forward(self, x, segment_label):
                return self.out(self.words(x) + self.segments(segment_label))
        """,
    ),
    "lengths that decide how long a mask is": repository(
        {"model.py:Listen": "sound float32 (2, 16, 6), lengths int64 (2,)"},
        model__py="""
        class Listen(nn.Module):
            def __init__(self):
                super().__init__()
                self.hear, self.out = nn.GRU(6, 12, batch_first=True), nn.Linear(12, 2)

            def forward(self, sound, lengths):
                heard, _ = self.hear(sound)
                inside = torch.arange(int(lengths.max())) < lengths[:, None]
                return self.out(heard.masked_fill(~inside[:, :, None], 0.0))
        """,
    ),
    "an image and a label that is spread over it": repository(
        {"model.py:Paint": "x float32 (2, 3, 224, 224), c float32 (2, 5)"},
        model__py="""
        class Paint(nn.Module):
            def __init__(self):
                super().__init__()
                self.main = nn.Sequential(nn.Conv2d(8, 16, 7, padding=3), nn.ReLU(), nn.Conv2d(16, 3, 7, padding=3))

            def forward(self, x, c):
                c = c.view(c.size(0), c.size(1), 1, 1).repeat(1, 1, x.size(2), x.size(3))
                return self.main(torch.cat([x, c], dim=1))
        """,
    ),
    "queries, keys and values": repository(
        {"model.py:Attend": "Q float32 (2, 8, 12), K float32 (2, 8, 12), V float32 (2, 8, 12)"},
        model__py="""
        class Attend(nn.Module):
            def __init__(self):
                super().__init__()
                self.W_Q, self.W_K, self.W_V = nn.Linear(12, 8), nn.Linear(12, 8), nn.Linear(12, 8)

            def forward(self, Q, K, V):
                scores = torch.softmax(torch.bmm(self.W_Q(Q), self.W_K(K).transpose(1, 2)), 2)
                return torch.bmm(scores, self.W_V(V))
        """,
    ),
    "a shape whose words all mean a batch or a length": repository(
        {"model.py:Read": "x float32 (2, 6)"},
        model__py="""
        class Read(nn.Module):
            def __init__(self):
                super().__init__()
                self.out = nn.Linear(6, 2)

            def forward(self, x):
                # x : [batch_size, n_step, m]
                return self.out(x)
        """,
    ),
    "a batch that forward has written down": repository(
        {"model.py:Tag": "sentence int64 (12, 16)"},
        model__py="""
        class Tag(nn.Module):
            def __init__(self, batch_size=12):
                super().__init__()
                self.batch_size = batch_size
                self.look_up, self.read, self.tell = nn.Embedding(90, 24), nn.LSTM(24, 16), nn.Linear(16, 3)

            def forward(self, sentence):
                x = self.look_up(sentence).permute(1, 0, 2)
                state = torch.zeros(1, self.batch_size, 16), torch.zeros(1, self.batch_size, 16)
                return self.tell(self.read(x, state)[1][0][-1])
        """,
    ),
    "steps beside a state that is repeated": repository(
        {"model.py:Attend": "encoded float32 (2, 7, 12), before float32 (2, 7)"},
        model__py="""
        class Attend(nn.Module):
            def __init__(self, steps=7, width=12):
                super().__init__()
                self.steps, self.width = steps, width
                self.weigh, self.read = nn.Linear(2 * width, 1), nn.GRU(1, width)
                self.mix, self.tell = nn.Linear(width + 1, 1), nn.Linear(width, 1)

            def forward(self, encoded, before):
                state = torch.zeros(1, encoded.size(0), self.width)
                for step in range(self.steps):
                    x = torch.cat((state.repeat(self.steps, 1, 1).permute(1, 0, 2), encoded), dim=2)
                    weights = self.weigh(x.view(-1, 2 * self.width)).view(-1, self.steps).softmax(1)
                    context = torch.bmm(weights.unsqueeze(1), encoded)[:, 0]
                    y = self.mix(torch.cat((context, before[:, step].unsqueeze(1)), dim=1))
                    _, state = self.read(y.unsqueeze(0), state)
                return self.tell(state[0])
        """,
    ),
    "a measure of images without weights": repository(
        {"model.py:Likeness": "one float32 (2, 8, 32, 32), other float32 (2, 8, 32, 32)"},
        model__py="""
        class Likeness(nn.Module):
            def forward(self, one, other):
                _, channels, _, _ = one.size()
                window = torch.full((channels, 1, 5, 5), 0.04)
                first, second = (nn.functional.conv2d(image, window, groups=channels) for image in (one, other))
                return (first - second).square().mean()
        """,
    ),
    "a map that is flattened to a number of features": repository(
        {"model.py:Classify": "x float32 (2, 3, 32, 32)"},
        model__py="""
        class Classify(nn.Module):
            def __init__(self):
                super().__init__()
                self.one, self.two = nn.Conv2d(3, 12, 3, 2, 1), nn.Conv2d(12, 20, 3, 2, 1)
                self.tell = nn.Linear(20 * 8 * 8, 10)

            def forward(self, x):
                x = torch.relu(self.two(torch.relu(self.one(x))))
                return self.tell(x.view(-1, 20 * 8 * 8))
        """,
    ),
    "images by class, joined": repository(
        {"model.py:Few": "known float32 (2, 3, 3, 224, 224), asked float32 (2, 8, 3, 224, 224)"},
        model__py="""
        class Few(nn.Module):
            def __init__(self):
                super().__init__()
                self.encoder = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())

            def forward(self, known, asked):
                classes, shots, questions = known.size(0), known.size(1), asked.size(1)
                known = known.view(classes * shots, *known.size()[2:])
                asked = asked.view(classes * questions, *asked.size()[2:])
                z = self.encoder(torch.cat([known, asked], 0))
                prototypes = z[: classes * shots].view(classes, shots, -1).mean(1)
                return -torch.cdist(z[classes * shots :], prototypes)
        """,
    ),
    "sequences that are packed, their batch second": repository(
        {"model.py:Listen": "x float32 (16, 2, 20), lengths int64 (2,)"},
        model__py="""
        from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

        class Listen(nn.Module):
            def __init__(self):
                super().__init__()
                self.norm, self.read, self.tell = nn.BatchNorm1d(20), nn.GRU(20, 12), nn.Linear(12, 5)

            def forward(self, x, lengths):
                steps, samples = x.size(0), x.size(1)
                x = self.norm(x.view(steps * samples, -1)).view(steps, samples, -1)
                return self.tell(pad_packed_sequence(self.read(pack_padded_sequence(x, lengths))[0])[0])
        """,
    ),
}
