import torch
import torch.nn.functional as F
from torch import nn, optim


def kd_loss(student_logits, teacher_logits, labels, temperature=4.0, alpha=0.7):
    target = F.softmax(teacher_logits / temperature, dim=1)
    soft = F.kl_div(F.log_softmax(student_logits / temperature, dim=1), target, reduction="batchmean")
    hard = F.cross_entropy(student_logits, labels)
    return alpha * temperature * temperature * soft + (1 - alpha) * hard


def train_student(teacher, student, loader, test_loader, epochs):
    optimizer = optim.AdamW(student.parameters(), lr=3e-4)
    teacher.eval()
    for p in teacher.parameters():
        p.requires_grad = False
    for _epoch in range(epochs):
        student.train()
        epoch_loss = []
        for x, y in loader:
            x, y = x.cuda(), y.cuda()
            with torch.no_grad():
                t_logits = teacher(x)
            s_logits = student(x)
            loss = kd_loss(s_logits, t_logits, y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            epoch_loss.append(float(loss))
        student.eval()
        good = 0
        with torch.no_grad():
            for x, y in test_loader:
                prob = F.softmax(student(x.cuda()), dim=-1)
                good += (prob.argmax(-1).cpu() == y).sum().item()
        print(sum(epoch_loss) / len(epoch_loss), good)


def pretrain(net, loader):
    opt = optim.Adam(net.parameters())
    criterion = nn.NLLLoss()
    net.train()
    for batch in loader:
        data, label = batch
        logp = F.log_softmax(net(data), dim=-1)
        err = criterion(logp, label)
        opt.zero_grad()
        err.backward()
        opt.step()
