import argparse
import os

import torch
import torch.distributed as dist
import torch.nn as nn
import torch.optim
import torch.utils.data
import torchvision
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data.distributed import DistributedSampler


def get_args():
    parser = argparse.ArgumentParser()
    parser.add_argument("--lr", type=float, default=0.1)
    parser.add_argument("--epochs", type=int, default=90)
    parser.add_argument("--wd", type=float, default=1e-4)
    return parser.parse_args()


def accuracy(output, target):
    return (output.argmax(dim=1) == target).float().mean()


def train(loader, model, loss_fn, opt, epoch):
    model.train()
    for step, (images, target) in enumerate(loader):
        images = images.cuda(non_blocking=True)
        target = target.cuda(non_blocking=True)
        logits = model(images)
        loss = loss_fn(logits, target)
        opt.zero_grad(set_to_none=True)
        loss.backward()
        opt.step()
        if step % 50 == 0:
            print(epoch, step, loss.item(), accuracy(logits, target).item())


@torch.no_grad()
def validate(loader, model):
    model.eval()
    scores = []
    for images, target in loader:
        scores.append(accuracy(model(images.cuda()), target.cuda()))
    return torch.stack(scores).mean()


def main():
    args = get_args()
    dist.init_process_group("nccl")
    rank = int(os.environ["LOCAL_RANK"])
    torch.cuda.set_device(rank)
    model = torchvision.models.resnet50(weights=None).cuda()
    model = DistributedDataParallel(model, device_ids=[rank])
    train_set = torchvision.datasets.FakeData()
    val_set = torchvision.datasets.FakeData()
    train_sampler = DistributedSampler(train_set)
    train_loader = torch.utils.data.DataLoader(train_set, batch_size=128, sampler=train_sampler, num_workers=4)
    val_loader = torch.utils.data.DataLoader(val_set, batch_size=128, sampler=DistributedSampler(val_set, shuffle=False))
    loss_fn = nn.CrossEntropyLoss().cuda()
    opt = torch.optim.SGD(model.parameters(), args.lr, momentum=0.9, weight_decay=args.wd)
    lr_scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(opt, T_max=args.epochs)
    for epoch in range(args.epochs):
        train_sampler.set_epoch(epoch)
        train(train_loader, model, loss_fn, opt, epoch)
        acc = validate(val_loader, model)
        lr_scheduler.step()
        if rank == 0:
            torch.save({"model": model.state_dict(), "acc": acc}, "checkpoint.pt")


if __name__ == "__main__":
    main()
