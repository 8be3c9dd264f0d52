"""Teacher: starts equal, follows by m w + (1 - m) w', copies buffers, takes no gradient and drops nothing,
and leaves the student be."""

import pytest
import torch
from torch import nn

from unveil.parts.blocks import Block, Drop
from unveil.parts.norms import BatchNorm
from unveil.parts.teacher import Teacher


class Student(nn.Module):
    def __init__(self):
        super().__init__()
        self.block, self.norm = Block(8, 2, drop_path=0.5), BatchNorm(8)

    def forward(self, x):
        return self.norm(self.block(x)[:, 0])


def moved(student):
    with torch.no_grad():
        for p in student.parameters():
            p.add_(torch.randn_like(p))
    return student


@pytest.mark.parametrize("momentum", [0.0, 0.9, 0.996, 1.0])
def test_follows_by_the_formula(momentum):
    student = Student()
    teacher = Teacher(student)
    slow = {name: p.detach().double().clone() for name, p in student.named_parameters()}
    for _ in range(4):
        moved(student)
        before = {name: p.detach().clone() for name, p in student.named_parameters()}
        teacher.follow(student, momentum)
        slow = {name: momentum * mean + (1 - momentum) * before[name].double() for name, mean in slow.items()}
        for name, p in teacher.network.named_parameters():
            torch.testing.assert_close(p.double(), slow[name], rtol=1e-5, atol=1e-6)
        assert all(torch.equal(p, before[name]) for name, p in student.named_parameters())
    assert len(slow) == 14


def test_copies_buffers():
    student = Student()
    teacher = Teacher(student)
    student.norm.running_mean += 3
    teacher.follow(student, 1.0)
    assert torch.equal(teacher.network.norm.running_mean, student.norm.running_mean)
    assert teacher.network.norm.running_mean is not student.norm.running_mean


def test_takes_no_gradient_and_drops_nothing():
    student = Student()
    teacher = Teacher(student)
    assert not any(p.requires_grad for p in teacher.parameters()) and all(p.requires_grad for p in student.parameters())
    x = torch.randn(6, 3, 8, requires_grad=True)
    out = teacher(x)
    assert not out.requires_grad and torch.equal(out, teacher(x))
    assert [part.rate for part in teacher.modules() if isinstance(part, Drop)] == [0.0]
    assert student.block.drop.rate == 0.5
